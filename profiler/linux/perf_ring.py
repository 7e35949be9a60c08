"""Reads the ring buffer of a perf event.

The first page, struct perf_event_mmap_page in include/uapi/linux/perf_event.h, says how far the
kernel is and how far the reader is. Then the records follow. One that does not fit before the end
goes on at the start.
"""

from __future__ import annotations

import mmap
import struct

_DATA_PAGES = 8  # a power of two; holds some 250 records of mappings
_DATA_BYTES = _DATA_PAGES * mmap.PAGESIZE
_HEAD_WORD, _TAIL_WORD = 1024 // 8, 1032 // 8  # data_head and data_tail
_HEADER = struct.Struct("<IHH")  # type, misc, size: struct perf_event_header

RECORD_MMAP = 1
RECORD_LOST = 2


class PerfRing:
    """Reader of one perf event's ring buffer."""

    def __init__(self, event: int) -> None:
        """Map its memory; raises OSError."""
        self._memory = mmap.mmap(event, mmap.PAGESIZE + _DATA_BYTES, mmap.MAP_SHARED)
        self._words = memoryview(self._memory).cast("Q")  # reads and writes a whole number at once

    def drain(self) -> list[tuple[int, bytes]]:
        """Return (type, what follows the header) of all records that are there now."""
        records = []
        position, end = self._words[_TAIL_WORD], self._words[_HEAD_WORD]
        while position < end:
            kind, _, size = _HEADER.unpack(self._bytes(position, _HEADER.size))
            if size < _HEADER.size:  # the kernel writes none such; it would never end
                position = end
                break
            body = self._bytes(position + _HEADER.size, size - _HEADER.size)
            records.append((kind, body))
            position += size
        self._words[_TAIL_WORD] = position
        return records

    def _bytes(self, position: int, length: int) -> bytes:
        at = position % _DATA_BYTES
        first = min(length, _DATA_BYTES - at)
        data = self._memory[mmap.PAGESIZE + at : mmap.PAGESIZE + at + first]
        return data + self._memory[mmap.PAGESIZE : mmap.PAGESIZE + length - first]

    def close(self) -> None:
        """Unmap it."""
        self._words.release()
        self._memory.close()
