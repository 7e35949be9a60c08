"""The parts of the BCC boundary that need no kernel; tests/bpf loads real programs."""

from __future__ import annotations

import re
import struct
import sys
from pathlib import Path

import pytest

from profiler.errors import KernelError
from profiler.linux import bcc


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


SESSION = 0x7E000004
EXIT = bytes.fromhex("9500000000000000")


def call(number: int, kind: int = 0) -> bytes:
    return struct.pack("<BBhI", 0x85, kind << 4, 0, number)


def test_placeholders_become_calls_of_kernel_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bcc, "function_ids", lambda _names: {"bpf_session_is_return": 4_321})
    load = struct.pack("<BBhI", 0x18, 1, 0, SESSION)  # a constant of that value is no call
    code = call(5) + load + bytes(8) + call(SESSION) + EXIT
    expected = call(5) + load + bytes(8) + call(4_321, kind=2) + EXIT
    assert bcc.with_kernel_functions(code) == expected


def test_without_placeholders_the_kernel_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(bcc, "function_ids")
    assert bcc.with_kernel_functions(call(5) + EXIT) == call(5) + EXIT


def test_a_kernel_without_the_function_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bcc, "function_ids", lambda _names: {"bpf_iter_num_new": 1})
    with pytest.raises(KernelError, match="this kernel has no bpf_session_is_return"):
        bcc.with_kernel_functions(call(SESSION) + EXIT)


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
        ("\n  cannot start\nlater\n", "cannot start"),
        ("", ""),
        ("e" * 300, "e" * 200),
    ],
)
def test_one_line_says_what_is_wrong(text: str, line: str) -> None:
    assert bcc._first_error(text) == line


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
