"""Stacks in memory that is made here."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest

from profiler.process.memory import TargetMemory
from profiler.process.threads.present_threads import RSP, PresentThread
from profiler.process.threads.stack_memory import read_stacks

PAGE = 4096
STACK, STACK_BYTES = 0x7F00_0000_0000, 100 * PAGE
END = STACK + STACK_BYTES


class Memory(TargetMemory):
    """A stack whose words are their own addresses; notes what is read."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, int]] = []

    def read(self, address: int, length: int) -> bytes | None:
        self.calls.append((address, length))
        if not STACK <= address <= END - length:
            return None
        first, last = address // 8 * 8, (address + length + 7) // 8 * 8
        words = range(first, last, 8)
        return struct.pack(f"<{len(words)}Q", *words)[address - first :][:length]

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes | None]:
        return [self.read(*one) for one in ranges]


def thread(sp: int, descriptor: int = END - 256) -> PresentThread:
    registers: list[int | None] = [None] * 16
    registers[RSP] = sp
    return PresentThread(1, 0, tuple(registers), descriptor, False)


@pytest.fixture
def memory() -> Memory:
    return Memory()


def test_a_stack_is_read_at_once(memory: Memory) -> None:
    ((_, stack),) = read_stacks(memory, [thread(STACK + 8)])
    assert [stack.word(STACK + at) for at in (8, 16, 8192)] == [STACK + 8, STACK + 16, STACK + 8192]
    assert memory.calls == [(STACK + 8, 8192)]


def test_what_lies_further_is_read_page_by_page(memory: Memory) -> None:
    ((_, stack),) = read_stacks(memory, [thread(STACK)])
    place = STACK + 5 * PAGE
    assert [stack.word(place + at) for at in (0, 8, PAGE)] == [place, place + 8, place + PAGE]
    assert memory.calls[1:] == [(place, PAGE), (place + PAGE, PAGE)]


def test_words_across_pages(memory: Memory) -> None:
    ((_, stack),) = read_stacks(memory, [thread(STACK)])
    place = STACK + 5 * PAGE - 4
    assert stack.word(place) == ((place + 4) & 0xFFFFFFFF) << 32 | place >> 32


def test_no_more_is_read_than_a_stack_has(memory: Memory) -> None:
    ((_, stack),) = read_stacks(memory, [thread(END - 1000)])
    assert memory.calls == [(END - 1000, 744)]
    assert stack.word(END) is None


def test_without_a_descriptor_behind_it_the_rest_of_the_page_is_read(memory: Memory) -> None:
    list(read_stacks(memory, [thread(STACK + 100, descriptor=0), thread(STACK, STACK - 8)]))
    assert memory.calls == [(STACK + 100, PAGE - 100), (STACK, PAGE)]


def test_the_pages_of_one_stack_are_bounded(memory: Memory) -> None:
    ((_, stack),) = read_stacks(memory, [thread(STACK)])
    found = [stack.word(STACK + page * PAGE) for page in range(2, 99)]
    assert sum(word is not None for word in found) == 64


def test_a_stack_that_cannot_be_read(memory: Memory) -> None:
    ((_, stack),) = read_stacks(memory, [thread(8)])
    assert [stack.word(at) for at in (8, 1 << 63, -8)] == [None, None, None]


def test_threads_keep_their_order(memory: Memory) -> None:
    threads = [thread(STACK + 8 * number) for number in range(600)]
    found = list(read_stacks(memory, threads))
    assert [one for one, _ in found] == threads
    assert all(stack.word(one.registers[RSP] or 0) == one.registers[RSP] for one, stack in found)
