"""The parts of the BCC boundary that need no kernel; tests/bpf loads real programs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from profiler import disk_cache
from profiler.errors import KernelError
from profiler.libc import LIBC
from profiler.linux import bcc
from profiler.linux.bcc import compile_programs
from profiler.linux.compiled import CompiledPrograms, MapShape


def test_a_library_that_cannot_be_loaded_is_an_error_of_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = "libLLVM-14.so.1: failed to map segment from shared object"
    (tmp_path / "bcc").mkdir()
    (tmp_path / "bcc" / "__init__.py").write_text(f"raise OSError({said!r})\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in sys.modules if name.split(".")[0] == "bcc"]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(KernelError, match="BCC's library cannot be loaded: libLLVM") as caught:
        bcc._import_bcc()
    assert "libbpfcc" in caught.value.hint


def test_each_header_of_ours_is_included_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bcc, "bpf_directory", lambda: tmp_path)
    (tmp_path / "inner.h").write_text("inner\n")
    (tmp_path / "outer.h").write_text('#include "inner.h"\nouter\n')
    (tmp_path / "a.c").write_text('#include <linux/bpf.h>\n#include "outer.h"\na\n')
    (tmp_path / "b.c").write_text('#include "inner.h"\nb\n')
    lines = [line for line in bcc.read_sources(("a.c", "b.c")).splitlines() if line]
    assert lines == ["#include <linux/bpf.h>", "inner", "outer", "a", "b"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("In file x:\n  y.c:3:1: error: no such thing\n", "y.c:3:1: error: no such thing"),
        ("\n  Traceback\n  cannot start\n", "cannot start"),
        ("", ""),
        ("e" * 300, "e" * 200),
    ],
)
def test_one_line_says_what_is_wrong(text: str, line: str) -> None:
    assert bcc._first_error(text) == line


SOURCE = "int four(void *context) { return NUMBER; }\nBPF_ARRAY(things, u64, 3);\n"


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of our own, and a cache of its own."""
    monkeypatch.setenv("EBPF_PROF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bcc, "bpf_directory", lambda: tmp_path)
    (tmp_path / "four.bpf.c").write_text(SOURCE)
    return tmp_path / "four.bpf.c"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The requests that a compiler, which is only played, has answered."""
    requests: list[bytes] = []

    class Child:
        def __init__(self, request: bytes) -> None:
            requests.append(request)

        def result(self) -> tuple[CompiledPrograms, list[list[object]]]:
            return PROGRAMS, [[str(LIBRARY), *bcc._identity(str(LIBRARY))]]

        def close(self) -> None:
            pass

    monkeypatch.setattr(bcc, "_Child", Child)
    return requests


PROGRAMS = CompiledPrograms({"m": MapShape(2, 4, 8, 1, 0)}, {"f": b"12345678"})
LIBRARY = Path(__file__)  # in the place of BCC's
SOURCES = ("four.bpf.c",)


@pytest.mark.root
def test_a_child_compiles(source: Path) -> None:
    found = compile_programs(SOURCES, {"NUMBER": 4})
    assert found.maps == {"things": MapShape(2, 4, 8, 3, 0)}
    assert found.programs == {"four": bytes.fromhex("b700000004000000 9500000000000000")}
    assert not {name for name in sys.modules if name.startswith("bcc")}


@pytest.mark.root
def test_what_the_compiler_says_is_one_line(source: Path) -> None:
    before = sorted(Path("/proc/self/fd").iterdir())
    with pytest.raises(KernelError, match="BCC cannot make the BPF programs: .*error:") as caught:
        compile_programs(SOURCES, {})
    assert "\n" not in caught.value.message
    assert sorted(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.root
def test_a_compiler_that_is_not_wanted_any_more_ends(source: Path) -> None:
    compilation = bcc.Compilation(SOURCES, {"NUMBER": 4})
    child = compilation._child
    assert child is not None
    pid = child._pid
    compilation.close()
    assert not Path(f"/proc/{pid}").exists()


PR_SET_CHILD_SUBREAPER = 36  # include/uapi/linux/prctl.h
ABANDON = """
import os, signal
from profiler.linux.bcc import Compilation
compilation = Compilation(("cpu.bpf.c",), {"WALK_ITERATOR": 0})
print(compilation._child._pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.root
def test_a_killed_profiler_leaves_no_compiler(tmp_path: Path) -> None:
    environment = {**os.environ, "EBPF_PROF_CACHE": str(tmp_path)}
    command = [sys.executable, "-c", ABANDON]
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        run = subprocess.run(command, env=environment, capture_output=True, text=True)
        _, status = os.waitpid(int(run.stdout), 0)
    finally:
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
    assert run.returncode == -signal.SIGKILL
    assert os.waitstatus_to_exitcode(status) in (1, -signal.SIGKILL)  # 1: it was just starting


def test_the_same_is_compiled_once(source: Path, compiled: list[bytes]) -> None:
    for _ in range(3):
        assert compile_programs(SOURCES, {"NUMBER": 4}) == PROGRAMS
    assert len(compiled) == 1


def test_another_source_macro_kernel_header_or_library_is_compiled_anew(
    source: Path, compiled: list[bytes], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def is_compiled_anew() -> bool:
        before = len(compiled)
        compile_programs(SOURCES, {"NUMBER": 4})
        again = len(compiled)
        compile_programs(SOURCES, {"NUMBER": 4})
        assert len(compiled) == again
        return again == before + 1

    assert is_compiled_anew()
    compile_programs(SOURCES, {"NUMBER": 5})
    assert len(compiled) == 2
    source.write_text(SOURCE + "/* newer */")
    assert is_compiled_anew()
    kernel = SimpleNamespace(release="6.1.0", version="#1", machine="x86_64")
    monkeypatch.setattr(os, "uname", lambda: kernel)
    assert is_compiled_anew()
    kernel.version = "#2"
    assert is_compiled_anew()
    (tmp_path / "shim").mkdir()
    (tmp_path / "shim" / "a.h").write_text("int a;")
    bcc._shim.cache_clear()
    assert is_compiled_anew()
    monkeypatch.setattr(bcc, "_identity", lambda _path: [1, 2, 3, 4])
    assert is_compiled_anew()


@pytest.mark.parametrize("entry", [b"", b"[]", b"[]\n{}", b"[]\n[]", b"{}\n", b'[["x"]]\n{}'])
def test_an_entry_that_makes_no_sense_is_not_used(
    source: Path, compiled: list[bytes], entry: bytes
) -> None:
    key = bcc.Compilation(SOURCES, {"NUMBER": 4})._key
    assert key is not None
    disk_cache.write("programs", key, entry)
    compiled.clear()
    assert compile_programs(SOURCES, {"NUMBER": 4}) == PROGRAMS
    assert len(compiled) == 1


# Those that we call of what BCC 0.18 declares (src/cc/export/helpers.h), the oldest that was tried.
HELPERS = {
    "bpf_get_current_pid_tgid",
    "bpf_get_current_task",
    "bpf_get_current_task_btf",
    "bpf_get_prandom_u32",
    "bpf_get_stack",
    "bpf_ktime_get_ns",
    "bpf_probe_read_kernel",
    "bpf_probe_read_user",
}


def test_helpers_that_old_bcc_does_not_declare_are_not_called_by_name() -> None:
    sources = sorted(bcc.bpf_directory().glob("*.[ch]"))
    called = {name for path in sources for name in re.findall(r"\bbpf_\w+(?=\()", path.read_text())}
    assert called == HELPERS


@pytest.mark.root
def test_who_ignores_ends_of_children_still_gets_the_result(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert "four" in compile_programs(SOURCES, {"NUMBER": 4}).programs
        bcc.Compilation(SOURCES, {"NUMBER": 5}).close()
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_without_knowing_who_compiled_nothing_is_kept(
    source: Path, compiled: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    child: Any = bcc._Child
    monkeypatch.setattr(child, "result", lambda _: (PROGRAMS, []))
    for _ in range(2):
        assert compile_programs(SOURCES, {"NUMBER": 4}) == PROGRAMS
    assert len(compiled) == 2
