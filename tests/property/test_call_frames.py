"""Call frame information of any contents: bounded work, no error but the declared one."""

from __future__ import annotations

import random
import time
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.binary.call_frames import CallFrameSection, MalformedCallFramesError
from profiler.binary.elf import Elf
from profiler.binary.functions import code_entries
from profiler.unwind.table import UnwindTable, compile_table
from tests.call_frames import Section

RANGES = ((0x1000, 0x200000),)
LIBRARY = Path("/usr/lib/x86_64-linux-gnu/libm.so.6")

# Instructions as they are, and with operands of any size, cut anywhere.
instruction = st.one_of(
    st.integers(0x40, 0xFF).map(lambda op: bytes((op,))),
    st.tuples(st.integers(0, 0x3F), st.binary(max_size=12)).map(lambda it: bytes((it[0],)) + it[1]),
)
program = st.lists(instruction, max_size=30).map(b"".join)


def check_table(table: UnwindTable) -> None:
    offsets = [row >> 32 for row in table.rows]
    assert offsets == sorted(set(offsets))
    blocks = len(table.blocks) // 2
    covered = 0
    for block in range(blocks):
        first, count = table.blocks[2 * block], table.blocks[2 * block + 1]
        assert first == covered
        assert all(offset >> 10 == block for offset in offsets[first : first + count])
        covered += count
    assert covered == len(offsets)
    rules = len(table.rules) // 16
    assert all(row & 0xFFFFF < rules for row in table.rows if row >> 28 & 0xF == 6)


def compile_any(section: CallFrameSection, ranges: tuple[tuple[int, int], ...] = RANGES) -> None:
    try:
        table = compile_table(section, ranges)
    except MalformedCallFramesError:
        return
    check_table(table)
    borders = [border for entry in code_entries(section, ranges) for border in entry[:2]]
    assert borders == sorted(borders)


@given(st.binary(max_size=400), st.booleans(), st.integers(0, 1 << 64))
def test_any_bytes(data: bytes, ends_at_zero: bool, address: int) -> None:
    compile_any(CallFrameSection(data, address, ends_at_zero))


@given(
    st.lists(
        st.tuples(st.integers(0xF00, 0x5000), st.integers(0, 0x3000), program),
        max_size=8,
    ),
    program,
    st.integers(-(1 << 20), 1 << 20),
    st.integers(0, 20),
)
@settings(max_examples=500)
def test_any_instructions(
    entries: list[tuple[int, int, bytes]], init: bytes, data_align: int, return_register: int
) -> None:
    section = Section()
    any_cie = section.cie(init=init, data_align=data_align, return_register=return_register)
    usual = section.cie()
    for index, (start, size, code) in enumerate(entries):
        section.fde(usual if index % 2 else any_cie, start, size, code)
    compile_any(section.built())


@given(st.randoms(use_true_random=False), st.integers(1, 60))
@settings(max_examples=40)
def test_real_frames_with_damage(chance: random.Random, damages: int) -> None:
    elf = Elf.from_bytes(LIBRARY.read_bytes())
    assert elf.eh_frame is not None
    address, data = elf.eh_frame
    damaged = bytearray(data)
    for _ in range(damages):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    compile_any(CallFrameSection(bytes(damaged), address), elf.code_ranges)


def test_the_worst_contents_take_bounded_time() -> None:
    """A program of nothing but changes; nothing but the shortest entries; each with its own CIE."""
    dense = Section()
    cie = dense.cie()
    change = bytes((0x41, 0x0E, 8, 0x41, 0x0E, 16)) * 5000
    for number in range(60):
        dense.fde(cie, 0x1000 + number * 0x8000, 0x8000, change[: 30_000 - 6 * number])
    short = Section()
    cie = short.cie()
    parts = []
    for number in range(50_000):
        one = Section()
        one.data = bytes(0)
        one.fde(cie, 0x1000 + number * 4, 4)
        parts.append(one.data)
    own_cie = Section()
    own_cie.fde(own_cie.cie(), 0x1000, 4)
    for data in (dense.data, short.data + b"".join(parts), own_cie.data * 100_000):
        started = time.process_time()
        compile_any(CallFrameSection(data, 0x10000), ((0, 1 << 30),))
        seconds_a_megabyte = (time.process_time() - started) / (len(data) / 1e6)
        assert seconds_a_megabyte < 60  # a few, where time does not grow with the square
