from __future__ import annotations

import os
from pathlib import Path

import pytest

from profiler.binary.elf import Elf
from profiler.binary.symtab import read_dynsym
from profiler.model.recording import Frame
from profiler.names.kallsyms import Kallsyms
from profiler.names.session import NamingSession
from profiler.process.target import TargetProcess
from tests.compiled import symbols_of
from tests.mapped_files import LOADED_AT, session_of, with_damaged_call_frames

ADDRESS = 0xFFFFFFFF81335C00


@pytest.mark.parametrize(
    ("kernel", "name"),
    [(Kallsyms([b"%016x t __do_sys_uretprobe" % ADDRESS]), "__do_sys_uretprobe"), (None, None)],
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


def test_the_kernels_names_may_be_read_beforehand(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter((Kallsyms([b"%016x t begun" % ADDRESS]),))
    monkeypatch.setattr("profiler.names.session.read_kallsyms", lambda: next(answers))
    session = NamingSession(TargetProcess.open(os.getpid(), 0), None)
    session.begin_with_kernel()
    assert [session.kernel_function(ADDRESS + 5) for _ in range(2)] == ["begun", "begun"]


def session_with(path: Path, seen_as: str) -> NamingSession:
    return session_of(Elf.from_bytes(path.read_bytes()), seen_as)


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


def test_an_inferred_name_stays_one_in_the_vdso(module: Path) -> None:
    inferred = symbols_of(module)["request_cb"]
    session = session_with(module.with_suffix(".stripped"), "[vdso]")
    (frame,) = session.frames((LOADED_AT + inferred,))
    assert (frame.symbol, frame.origin) == ("~request_cb", "inferred")


def test_damaged_call_frames_end_no_run_and_are_reported(module: Path) -> None:
    session = session_of(with_damaged_call_frames(module), "/usr/lib/module.so")
    named = symbols_of(module)["request_cb"]
    (frame,) = session.frames((LOADED_AT + named,))
    assert (frame.symbol, frame.origin) == ("request_cb", "symtab")
    (problem,) = session.problems()
    assert problem.startswith(
        "/usr/lib/module.so: function boundaries are unreadable: entry at 0x0 "
    )


def test_calls_are_those_of_the_file_at_the_address(module: Path) -> None:
    session = session_with(module.with_suffix(".stripped"), "/usr/lib/module.so")
    start = symbols_of(module)["load_module"]
    calls, offset = session.calls_at(LOADED_AT + start) or (None, 0)
    assert calls is not None and offset == start
    assert session.calls_at(LOADED_AT + start + 1) == (calls, start + 1)
    assert session.calls_at(0x10) is None


def test_the_distribution_is_what_the_target_sees() -> None:
    session = NamingSession(TargetProcess.open(os.getpid(), 0), None)
    system = session.system("/usr/sbin/asterisk")
    text = Path("/etc/os-release").read_text()
    assert system is not None and f"ID={system.id}\n" in text.replace('"', "")
    ended = NamingSession(TargetProcess.open(1 << 30, 0), None)
    assert ended.system("/usr/sbin/asterisk") is None
