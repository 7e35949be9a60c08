from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.linux.compiled import (
    CompiledPrograms,
    MapShape,
    with_map_numbers,
    with_places_filled,
)

DESTROY, TARGET = 0x7E000003, 0x7E000010
EXIT = bytes.fromhex("9500000000000000")
NUMBERS = st.integers(0, 1 << 31)
SHAPES = st.builds(MapShape, NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS)


def call(number: int, kind: int = 0) -> bytes:
    return struct.pack("<BBhI", 0x85, kind << 4, 0, number)


def load(number: int, source: int) -> bytes:
    """A constant of 64 bits, or a map when `source` is 1, into r1."""
    return struct.pack("<BBhI", 0x18, source << 4 | 1, 0, number) + bytes(8)


def filled(code: bytes, **numbers: int) -> bytes:
    return with_places_filled(code, lambda number: number + 100, numbers, lambda _name: 4_321)


@given(
    st.builds(
        CompiledPrograms,
        st.dictionaries(st.text(), SHAPES),
        st.dictionaries(st.text(), st.binary()),
    )
)
def test_bytes_give_the_same_programs(programs: CompiledPrograms) -> None:
    assert CompiledPrograms.decode(programs.encode()) == programs


def test_placeholders_become_calls_of_kernel_functions() -> None:
    code = call(5) + load(DESTROY, 0) + call(DESTROY) + EXIT  # a constant is no call
    assert filled(code) == call(5) + load(DESTROY, 0) + call(4_321, kind=2) + EXIT


def test_placeholders_become_numbers() -> None:
    move = struct.pack("<BBhI", 0xB4, 0, 0, 777)  # w0 = 777
    assert filled(call(TARGET) + EXIT, TARGET_TGID=777) == move + EXIT
    with pytest.raises(KeyError):
        filled(call(TARGET))


def test_maps_go_by_number_and_then_by_descriptor() -> None:
    code = load(7, 1) + load(7, 0) + EXIT
    numbered = with_map_numbers(code, {7: 2})
    assert numbered == load(2, 1) + load(7, 0) + EXIT
    assert filled(numbered) == load(102, 1) + load(7, 0) + EXIT
