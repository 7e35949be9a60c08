"""The parts of the BCC boundary that need no kernel; tests/bpf loads real programs."""

from __future__ import annotations

import ctypes
import errno
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.errors import KernelError
from profiler.linux import bcc, bpf


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


FIELDS = {"key_size": "4", "value_size": "12", "max_entries": "10", "map_type": "1"}


def bpf_map(monkeypatch: pytest.MonkeyPatch, library: Any = None, **fields: str) -> bcc.BpfMap:
    monkeypatch.setattr(bpf, "descriptor_fields", lambda _descriptor: {**FIELDS, **fields})
    monkeypatch.setattr(bcc, "possible_cpus", lambda: 3)
    return bcc.BpfMap(library, 9, "counts")


@pytest.mark.parametrize(("map_type", "size"), [("1", 12), ("5", 48), ("6", 48), ("10", 48)])
def test_a_value_per_cpu_takes_whole_words(
    map_type: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bpf_map(monkeypatch, map_type=map_type).user_value_size == size


def test_values_of_cpus_are_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(_descriptor: int, _key: object, value: Any) -> int:
        value.raw = b"a" * 12 + bytes(4) + b"b" * 12 + bytes(4) + b"c" * 12 + bytes(4)
        return 0

    library = SimpleNamespace(bpf_lookup_elem=lookup)
    values = bpf_map(monkeypatch, library, map_type="6").values_of_cpus(bytes(4))
    assert values == (b"a" * 12, b"b" * 12, b"c" * 12)
    absent = SimpleNamespace(bpf_lookup_elem=lambda *_: -1)
    assert bpf_map(monkeypatch, absent, map_type="6").values_of_cpus(bytes(4)) == ()


@pytest.mark.parametrize(("key", "value"), [(3, 12), (5, 12), (4, 11), (4, 16)])
def test_keys_and_values_of_the_wrong_size_never_reach_the_kernel(
    key: int, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="counts: key or value of the wrong size"):
        bpf_map(monkeypatch).set(bytes(key), bytes(value))


def batches(*answers: tuple[int, list[bytes]]) -> Any:
    """A kernel that answers each batch with (errno, keys); a value is its key three times."""
    rest = iter(answers)

    def lookup(_fd: int, _in: Any, _out: Any, keys: Any, values: Any, count: Any) -> int:
        number, found = next(rest)
        keys[: 4 * len(found)] = b"".join(found)
        values[: 12 * len(found)] = b"".join(key * 3 for key in found)
        count._obj.value = len(found)
        ctypes.set_errno(number)
        return -1 if number else 0

    return SimpleNamespace(bpf_lookup_batch=lookup)


def test_all_batches_of_a_map_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    library = batches((0, [b"aaaa", b"bbbb"]), (errno.ENOENT, [b"cccc"]))
    found = list(bpf_map(monkeypatch, library).items())
    assert found == [(key, key * 3) for key in (b"aaaa", b"bbbb", b"cccc")]


def test_a_map_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OSError, match="counts: ") as caught:
        list(bpf_map(monkeypatch, batches((errno.EPERM, []))).items())
    assert caught.value.errno == errno.EPERM


def test_a_map_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    library = batches(*[(0, [b"aaaa"])] * 99)
    with pytest.raises(KernelError, match="map counts does not come to an end"):
        list(bpf_map(monkeypatch, library).items())
