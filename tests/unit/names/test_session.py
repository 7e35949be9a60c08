from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.binary.elf import Elf
from profiler.binary.symtab import read_dynsym
from profiler.model.recording import Frame
from profiler.names.kallsyms import Kallsyms
from profiler.names.session import NamingSession
from profiler.process.mappings import CodeFile, LoadedCode, Mapping
from profiler.process.target import TargetProcess
from tests.compiled import symbols_of

ADDRESS = 0xFFFFFFFF81335C00
LOADED_AT = 0x7F0000000000


@pytest.mark.parametrize(
    ("kernel", "name"),
    [(Kallsyms([ADDRESS], [b"__do_sys_uretprobe"]), "__do_sys_uretprobe"), (None, None)],
)
def test_the_kernels_names_are_read_once_when_it_shows_them_or_not(
    monkeypatch: pytest.MonkeyPatch, kernel: Kallsyms | None, name: str | None
) -> None:
    answers = iter((kernel,))
    monkeypatch.setattr("profiler.names.session.read_kallsyms", lambda: next(answers))
    session = NamingSession(TargetProcess.open(os.getpid(), 0), None)
    assert session.kernel_function(ADDRESS + 5) == name
    origin = name and "kallsyms"
    assert session.frames((ADDRESS + 5,)) == (Frame(ADDRESS + 5, 0, None, None, name, origin),)
    assert session.kernel_function(ADDRESS - 5) is None


def session_with(path: Path, seen_as: str) -> NamingSession:
    """Return a session for a target that has mapped one file, whole, at LOADED_AT."""
    elf = Elf.from_bytes(path.read_bytes())
    mapping = Mapping(LOADED_AT, LOADED_AT + elf.size, 0, "00:01", 1, seen_as, False)
    code = LoadedCode(mapping, CodeFile(seen_as, elf, elf.build_id, None), LOADED_AT, None)
    found = {True: code, False: None}
    target: Any = SimpleNamespace(
        pid=os.getpid(),
        code=SimpleNamespace(current=(code,), at=lambda address: found[address >= LOADED_AT]),
    )
    session = NamingSession(target, None)
    session.pin()
    return session


def test_frames_come_in_order_with_file_offset_and_start(module: Path) -> None:
    symbols = symbols_of(module)
    named, unnamed = symbols["request_cb"] + 3, symbols["silent_outer"] + 5
    session = session_with(module.with_suffix(".stripped"), "/usr/lib/module.so")
    assert session.frames((LOADED_AT + unnamed, 0x10, LOADED_AT + named)) == (
        Frame(LOADED_AT + unnamed, 0, unnamed, symbols["silent_outer"], None, None),
        Frame(0x10, None, None, None, None, None),
        Frame(LOADED_AT + named, 0, named, symbols["request_cb"], "~request_cb", "inferred"),
    )
    assert [file.path for file in session.files()] == ["/usr/lib/module.so", "[kernel]"]


def test_vdso_says_so() -> None:
    path = Path("/lib64/ld-linux-x86-64.so.2")
    table = read_dynsym(Elf.from_bytes(path.read_bytes()))
    exported = table.find("__tls_get_addr") if table else None
    assert exported is not None
    (frame,) = session_with(path, "[vdso]").frames((LOADED_AT + exported.value,))
    assert (frame.symbol, frame.origin) == ("__tls_get_addr", "vdso")
