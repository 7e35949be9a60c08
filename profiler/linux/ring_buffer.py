"""Reads BPF ring buffers: kernel/bpf/ringbuf.c, as libbpf does it in src/ringbuf.c.

One page says how far the reader is, the next how far the kernel is, and then the records follow:
the data pages, mapped twice in a row, so that a record at the end goes on where it continues. The
reader's page may be written by us; the rest is read only.
"""

from __future__ import annotations

import mmap

from profiler.linux.maps import BpfMap

_HEADER_BYTES = 8  # length and flags, then the offset of the page, which only the kernel uses
_BUSY = 1 << 31  # BPF_RINGBUF_BUSY_BIT: reserved, and not submitted yet
_DISCARDED = 1 << 30  # BPF_RINGBUF_DISCARD_BIT


class RingBuffer:
    """Reader of one BPF ring buffer."""

    def __init__(self, ring: BpfMap) -> None:
        """Map its memory; raises OSError."""
        self.descriptor = ring.descriptor  # readable when there are records
        self._bytes = ring.max_entries  # a power of two
        page = mmap.PAGESIZE
        self._reader = mmap.mmap(ring.descriptor, page, mmap.MAP_SHARED)
        self._kernel = mmap.mmap(
            ring.descriptor,
            page + 2 * self._bytes,
            mmap.MAP_SHARED,
            mmap.PROT_READ,
            offset=page,
        )
        # Views, because they read and write a whole number at once.
        self._read_to = memoryview(self._reader).cast("Q")
        self._written_to = memoryview(self._kernel).cast("Q")
        self._words = memoryview(self._kernel).cast("I")

    def drain(self) -> list[bytes]:
        """Return all records that are there now, in their order, without waiting."""
        records = []
        position, end = self._read_to[0], self._written_to[0]
        while position < end:
            at = mmap.PAGESIZE + position % self._bytes
            word = self._words[at // 4]
            if word & _BUSY:
                break
            length = word & ~_DISCARDED
            if not word & _DISCARDED:
                start = at + _HEADER_BYTES
                records.append(self._kernel[start : start + length])
            position += (length + _HEADER_BYTES + 7) // 8 * 8
            self._read_to[0] = position
        return records

    def close(self) -> None:
        """Unmap it."""
        for view in (self._read_to, self._written_to, self._words):
            view.release()
        self._reader.close()
        self._kernel.close()
