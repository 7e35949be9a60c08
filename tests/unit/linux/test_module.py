"""What becomes of compiled programs in the kernel; a real one where it must be."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from profiler.errors import KernelError
from profiler.linux import bpf, module
from profiler.linux.bpf import VerifierError
from profiler.linux.compiled import CompiledPrograms, MapShape
from profiler.linux.module import BpfModule

pytestmark = pytest.mark.root

ARRAY = 2  # enum bpf_map_type
RETURN_ZERO = struct.pack("<BBhiBBhi", 0xB7, 0, 0, 0, 0x95, 0, 0, 0)
RETURN_NOTHING = struct.pack("<BBhi", 0x95, 0, 0, 0)  # r0 is not set: refused


def load_map(number: int) -> bytes:
    return struct.pack("<BBhI", 0x18, 1 << 4 | 1, 0, number) + bytes(8)


COMPILED = CompiledPrograms(
    {
        "used": MapShape(ARRAY, 4, 8, 1, 0),
        "shared": MapShape(ARRAY, 4, 8, 2, 0),
        "unused": MapShape(ARRAY, 4, 8, 1, 0),
    },
    {"good": load_map(0) + RETURN_ZERO, "bad": RETURN_NOTHING},
)
OTHER = CompiledPrograms(
    {"own": MapShape(ARRAY, 4, 8, 1, 0), "shared": MapShape(ARRAY, 4, 8, 2, 0)},
    {"good": load_map(1) + RETURN_ZERO},
)


def open_files() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def test_maps_are_made_when_they_are_needed_and_go_with_the_module() -> None:
    before = open_files()
    with BpfModule(COMPILED, {}, {"shared": 7}) as one:
        assert open_files() == before
        one.load("good", bpf.PROG_KPROBE)
        assert one.map("used").max_entries == 1
        assert len(open_files() - before) == 2  # program and map
        assert one.map("shared").max_entries == 7
        one.map("shared").set(bytes(4), b"12345678")
        assert one.map("shared").get(bytes(4)) == b"12345678"
        assert [program.name for program in one.programs()] == ["good"]
    assert open_files() == before


def test_a_module_that_extends_another_shares_its_maps() -> None:
    before = open_files()
    with BpfModule(COMPILED, {}, {}) as base:
        extended = base.extended(OTHER)
        extended.load("good", bpf.PROG_KPROBE)
        assert extended.map("shared") is base.map("shared")
        assert extended.map("used") is base.map("used")
        assert extended.map("own").descriptor != base.map("shared").descriptor
        with pytest.raises(KeyError):
            base.map("own")
        extended.close()
        assert base.map("shared").get(bytes(4)) == bytes(8)
    assert open_files() == before


def test_what_the_verifier_refuses_leaves_nothing() -> None:
    before = open_files()
    with BpfModule(COMPILED, {}, {}) as one, pytest.raises(VerifierError):
        one.load("bad", bpf.PROG_KPROBE)
    assert open_files() == before


def test_a_kernel_without_a_function_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "function_ids", lambda _names: {"bpf_iter_num_new": 1})
    call = struct.pack("<BBhI", 0x85, 0, 0, 0x7E000003)
    programs = CompiledPrograms({}, {"good": call + RETURN_ZERO})
    with (
        BpfModule(programs, {}, {}) as one,
        pytest.raises(KernelError, match="this kernel has no bpf_iter_num_destroy"),
    ):
        one.load("good", bpf.PROG_KPROBE)


def test_tail_calls_are_placed_by_number() -> None:
    programs = CompiledPrograms({"programs": MapShape(3, 4, 4, 2, 0)}, COMPILED.programs)
    with BpfModule(programs, {}, {}) as one:
        one._names = ("programs",)
        called = one.load("good", bpf.PROG_KPROBE)
        one.set_tail_call("programs", 1, called)
        found = one.map("programs").get(struct.pack("<I", 1))
    assert found is not None


def test_a_map_of_another_shape_is_not_shared() -> None:
    other = CompiledPrograms({"shared": MapShape(ARRAY, 4, 16, 2, 0)}, {})
    with (
        BpfModule(COMPILED, {}, {}) as base,
        pytest.raises(ValueError, match="shared is another map"),
    ):
        base.extended(other).map("shared")
