"""Reads a ring that is filled as the kernel does it; its two mappings are of one file in memory."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.linux import ring_buffer
from profiler.linux.ring_buffer import RingBuffer

BYTES = 4096
BUSY, DISCARDED = 1 << 31, 1 << 30


class Kernel:
    """Writes records; positions and data are in one file, the data once more behind itself."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("ring")
        os.ftruncate(self.descriptor, 2 * mmap.PAGESIZE + 2 * BYTES)
        self.end = 0

    @property
    def read_to(self) -> int:
        (position,) = struct.unpack("<Q", os.pread(self.descriptor, 8, 0))
        return int(position)

    def write(self, data: bytes, flags: int = 0) -> int:
        """Add a record and return where its head is."""
        at = self.end
        record = (struct.pack("<II", len(data) | flags, 0) + data).ljust((len(data) + 15) // 8 * 8)
        for offset, byte in enumerate(record):
            place = (at + offset) % BYTES
            for start in (2 * mmap.PAGESIZE, 2 * mmap.PAGESIZE + BYTES):
                os.pwrite(self.descriptor, bytes([byte]), start + place)
        self.end += len(record)
        os.pwrite(self.descriptor, struct.pack("<Q", self.end), mmap.PAGESIZE)
        return at

    def submit(self, at: int, length: int) -> None:
        """Say that a busy record is whole."""
        os.pwrite(self.descriptor, struct.pack("<I", length), 2 * mmap.PAGESIZE + at % BYTES)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    one = Kernel()
    yield one
    os.close(one.descriptor)


@pytest.fixture
def ring(kernel: Kernel) -> Iterator[RingBuffer]:
    found: Any = SimpleNamespace(descriptor=kernel.descriptor, max_entries=BYTES)
    one = RingBuffer(found)
    yield one
    one.close()


def test_records_are_read_once_and_in_order(kernel: Kernel, ring: RingBuffer) -> None:
    assert ring.drain() == []
    kernel.write(b"one\0more")
    kernel.write(b"two")
    assert ring.drain() == [b"one\0more", b"two"]
    assert ring.drain() == []
    assert kernel.read_to == kernel.end


def test_what_is_discarded_is_passed_over(kernel: Kernel, ring: RingBuffer) -> None:
    kernel.write(b"gone", DISCARDED)
    kernel.write(b"there")
    assert ring.drain() == [b"there"]


def test_nothing_is_read_behind_a_record_that_is_being_written(
    kernel: Kernel, ring: RingBuffer
) -> None:
    kernel.write(b"first")
    at = kernel.write(b"second", BUSY)
    kernel.write(b"third")
    assert ring.drain() == [b"first"]
    assert kernel.read_to == at
    kernel.submit(at, 6)
    assert ring.drain() == [b"second", b"third"]


def test_records_go_on_at_the_start(kernel: Kernel, ring: RingBuffer) -> None:
    for number in range(200):  # of 104 bytes: the ring is full five times
        kernel.write(bytes([number]) * 96)
        assert ring.drain() == [bytes([number]) * 96]
    assert ring_buffer._BUSY == BUSY
