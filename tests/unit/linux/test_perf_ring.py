"""Reads a ring that is filled as the kernel does it, in a file in memory."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator

import pytest

from profiler.linux.perf_ring import RECORD_LOST, RECORD_MMAP, PerfRing

DATA_BYTES = 8 * mmap.PAGESIZE


class Kernel:
    """Writes records behind a page that says how far both are."""

    def __init__(self) -> None:
        self.event = os.memfd_create("ring")
        os.ftruncate(self.event, mmap.PAGESIZE + DATA_BYTES)
        self.end = 0

    @property
    def read_to(self) -> int:
        (position,) = struct.unpack("<Q", os.pread(self.event, 8, 1032))
        return int(position)

    def write(self, kind: int, body: bytes) -> None:
        record = struct.pack("<IHH", kind, 0, 8 + len(body)) + body
        for offset, byte in enumerate(record):
            place = mmap.PAGESIZE + (self.end + offset) % DATA_BYTES
            os.pwrite(self.event, bytes([byte]), place)
        self.end += len(record)
        os.pwrite(self.event, struct.pack("<Q", self.end), 1024)


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    made = Kernel()
    yield made
    os.close(made.event)


def test_records_come_in_their_order_and_once(kernel: Kernel) -> None:
    ring = PerfRing(kernel.event)
    assert ring.drain() == []
    kernel.write(RECORD_MMAP, b"a" * 16)
    kernel.write(RECORD_LOST, b"b" * 24)
    assert ring.drain() == [(RECORD_MMAP, b"a" * 16), (RECORD_LOST, b"b" * 24)]
    assert kernel.read_to == kernel.end
    assert ring.drain() == []
    ring.close()


def test_a_record_goes_on_at_the_start(kernel: Kernel) -> None:
    ring = PerfRing(kernel.event)
    bodies = [bytes([number]) * 2_000 for number in range(40)]  # twice around and more
    for body in bodies:
        kernel.write(RECORD_MMAP, body)
        assert ring.drain() == [(RECORD_MMAP, body)]
    assert kernel.end > 2 * DATA_BYTES
    ring.close()


def test_a_record_without_a_length_ends_what_is_read(kernel: Kernel) -> None:
    ring = PerfRing(kernel.event)
    kernel.write(RECORD_MMAP, b"whole123")
    os.pwrite(kernel.event, struct.pack("<Q", kernel.end + 64), 1024)
    assert ring.drain() == [(RECORD_MMAP, b"whole123")]
    assert kernel.read_to == kernel.end + 64
    ring.close()
