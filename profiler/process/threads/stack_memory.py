"""The stacks of threads: read together where they begin, and page by page where more is needed."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from profiler.process.memory import TargetMemory
from profiler.process.threads.present_threads import RSP, PresentThread

_PAGE = 4096
_FIRST_BYTES = 8192  # of each stack; most of Asterisk's threads use less
_MOST_PAGES = 64  # of one stack beyond that
_TOGETHER = 256  # stacks, so that they need little memory
_WORD = struct.Struct("<Q")


class StackMemory:
    """One thread's stack, from where it ends on."""

    def __init__(self, memory: TargetMemory, start: int, data: bytes) -> None:
        self._memory = memory
        self._start = start
        self._data = data
        self._pages: dict[int, bytes | None] = {}

    def word(self, address: int) -> int | None:
        """Return the eight bytes at an address, None where they cannot be read."""
        at = address - self._start
        if 0 <= at <= len(self._data) - _WORD.size:
            return int(_WORD.unpack_from(self._data, at)[0])
        page, at = address - address % _PAGE, address % _PAGE
        if at > _PAGE - _WORD.size:
            data = self._memory.read(address, _WORD.size)
            return None if data is None else int(_WORD.unpack(data)[0])
        if page not in self._pages:
            is_more = len(self._pages) < _MOST_PAGES
            self._pages[page] = self._memory.read(page, _PAGE) if is_more else None
        data = self._pages[page]
        return None if data is None else int(_WORD.unpack_from(data, at)[0])


def read_stacks(
    memory: TargetMemory, threads: Sequence[PresentThread]
) -> Iterator[tuple[PresentThread, StackMemory]]:
    """Yield each thread with its stack."""
    for first in range(0, len(threads), _TOGETHER):
        part = threads[first : first + _TOGETHER]
        ranges = [(thread.registers[RSP] or 0, _size(thread)) for thread in part]
        for thread, (start, _), data in zip(part, ranges, memory.read_ranges(ranges), strict=True):
            yield thread, StackMemory(memory, start, data or b"")


def _size(thread: PresentThread) -> int:
    """Return how much surely belongs to a thread's stack: glibc has its descriptor behind it."""
    start = thread.registers[RSP] or 0
    room = thread.fs_base - start
    return min(room, _FIRST_BYTES) if 0 < room < 1 << 30 else _PAGE - start % _PAGE
