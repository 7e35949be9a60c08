"""Reads this process's own memory, beside pages that cannot be read."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator

import pytest

from profiler.libc import LIBC
from profiler.process.memory import TargetMemory

PAGE = mmap.PAGESIZE
NON_CANONICAL = (-1, 0, 1 << 47, (1 << 64) - 1)


@pytest.fixture
def memory() -> TargetMemory:
    return TargetMemory(os.getpid())


@pytest.fixture
def page() -> Iterator[int]:
    """One readable page; the page behind it cannot be read."""
    pages = mmap.mmap(-1, 2 * PAGE)
    view = ctypes.c_char.from_buffer(pages)
    start = ctypes.addressof(view)
    pages[:PAGE] = bytes(range(256)) * (PAGE // 256)
    behind = ctypes.c_void_p(start + PAGE)
    assert LIBC.mprotect(behind, ctypes.c_size_t(PAGE), 0) == 0
    yield start
    assert LIBC.mprotect(behind, ctypes.c_size_t(PAGE), mmap.PROT_READ | mmap.PROT_WRITE) == 0
    del view
    pages.close()


def write(address: int, data: bytes) -> None:
    ctypes.memmove(address, data, len(data))


def test_bytes_are_read_whole_or_not_at_all(memory: TargetMemory, page: int) -> None:
    assert memory.read(page + 3, 4) == bytes((3, 4, 5, 6))
    assert memory.read(page + PAGE - 1, 1) == b"\xff"
    assert memory.read(page + PAGE - 1, 2) is None
    assert memory.read(page + PAGE, 1) is None


@pytest.mark.parametrize("address", NON_CANONICAL)
def test_addresses_that_no_process_has_are_not_read(memory: TargetMemory, address: int) -> None:
    assert memory.read(address, 8) is None
    assert memory.text(address) is None


def test_many_are_read_in_order(memory: TargetMemory, page: int) -> None:
    addresses = [page + 7, page, page + 7]
    assert memory.read_many(addresses, 2) == [b"\x07\x08", b"\x00\x01", b"\x07\x08"]
    assert memory.read_many([], 2) == []


@pytest.mark.parametrize("bad", NON_CANONICAL)
def test_of_many_only_those_are_missing_that_cannot_be_read(
    memory: TargetMemory, page: int, bad: int
) -> None:
    assert memory.read_many([page, bad, page + 2], 1) == [b"\x00", None, b"\x02"]
    assert memory.read_many([page, page + PAGE - 1, page + 2], 2) == [
        b"\x00\x01",
        None,
        b"\x02\x03",
    ]


def test_more_are_read_than_one_call_takes(memory: TargetMemory, page: int) -> None:
    number = 2 * 1024 + 1
    found = memory.read_many([page + index % PAGE for index in range(number)], 1)
    assert found == [bytes((index % 256,)) for index in range(number)]


def test_ranges_have_their_own_lengths(memory: TargetMemory, page: int) -> None:
    whole = [(page, 1), (page + 7, 3), (page + PAGE - 1, 1)]
    assert memory.read_ranges(whole) == [b"\x00", b"\x07\x08\x09", b"\xff"]
    assert memory.read_ranges([(page, 1), (page + PAGE - 1, 2), (0, 1), (page + 7, 3)]) == [
        b"\x00",
        None,
        None,
        b"\x07\x08\x09",
    ]
    many = [(page + number % PAGE, 1) for number in range(2 * 1024 + 1)]
    assert b"".join(filter(None, memory.read_ranges(many)))[1023:1026] == b"\xff\x00\x01"


def test_a_text_ends_at_its_first_zero(memory: TargetMemory, page: int) -> None:
    write(page + 60, b"across a line\0rest")
    assert memory.text(page + 60) == "across a line"
    assert memory.text(page + 73) == ""


def test_a_text_that_ends_with_its_page_is_read(memory: TargetMemory, page: int) -> None:
    write(page + PAGE - 4, b"end\0")
    assert memory.text(page + PAGE - 4) == "end"
    write(page + PAGE - 4, b"open")
    assert memory.text(page + PAGE - 4) is None
    assert memory.text(page + PAGE - 4, limit=4) == "open"


def test_a_text_is_cut_and_its_bad_bytes_are_replaced(memory: TargetMemory, page: int) -> None:
    write(page, b"\xff" + b"x" * 400 + b"\0")
    assert memory.text(page) == "\ufffd" + "x" * 255
    assert memory.text(page, limit=3) == "\ufffdxx"


def test_of_a_process_that_is_gone_nothing_is_read(page: int) -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    gone = TargetMemory(child)
    assert gone.read(page, 1) is None
    assert gone.read_many([page, page], 1) == [None, None]
    assert gone.text(page) is None


def test_nothing_is_read_once_it_was_given_up(memory: TargetMemory, page: int) -> None:
    memory.give_up()
    assert memory.read(page, 1) is None
    assert memory.read_many([page, page], 1) == [None, None]
    assert memory.text(page) is None
