"""Where each function of a file begins and ends, by its call frame information."""

from __future__ import annotations

import hashlib
import json
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from operator import itemgetter

from profiler import disk_cache
from profiler.binary import call_frames as call_frames_module
from profiler.binary.call_frames import (
    CallFrameSection,
    Entry,
    MalformedCallFramesError,
    read_entries,
)
from profiler.binary.elf import Elf

_CODE = disk_cache.digest_of_code(__file__, call_frames_module.__file__)
MAX_ENTRIES = 1 << 20  # frame description entries of one file; libclang-cpp has 83 thousand


@dataclass(frozen=True, slots=True)
class FunctionTable:
    """Where functions (their parts: hot and cold code apart) begin and end, ascending.

    From the frame description entries, so that stripped files have it too. Addresses are virtual
    addresses inside the file.
    """

    starts: array[int]
    ends: array[int]

    def containing(self, address: int) -> tuple[int, int] | None:
        """Return [start, end) of the function that has this address."""
        index = bisect_right(self.starts, address) - 1
        if index < 0 or address >= self.ends[index]:
            return None
        return self.starts[index], self.ends[index]

    def __len__(self) -> int:
        return len(self.starts)


def call_frames(elf: Elf) -> CallFrameSection:
    """Return the file's call frame information, empty if it has none; ElfError if unreadable."""
    address, data = elf.eh_frame or (0, b"")
    return CallFrameSection(data, address, ends_at_zero=elf.section(".eh_frame") is None)


def functions(elf: Elf) -> FunctionTable:
    """Return the function boundaries of a file, from the cache where they are known."""
    section = call_frames(elf)
    key = frames_key(section, elf.code_ranges)
    known = disk_cache.read("functions", key)
    if known is not None:
        half = len(known) // 2
        return FunctionTable(array("Q", known[:half]), array("Q", known[half:]))
    entries = code_entries(section, elf.code_ranges)
    starts = array("Q", (start for start, *_ in entries))
    ends = array("Q", (end for _, end, *_ in entries))
    disk_cache.write("functions", key, starts.tobytes() + ends.tobytes())
    return FunctionTable(starts, ends)


def frames_key(section: CallFrameSection, code_ranges: tuple[tuple[int, int], ...]) -> bytes:
    """Return what two files have in common whose call frame information says the same."""
    shape = json.dumps((section.address, section.ends_at_zero, code_ranges)).encode()
    return shape + _CODE + hashlib.sha256(section.data).digest()


def code_entries(
    section: CallFrameSection, code_ranges: tuple[tuple[int, int], ...]
) -> list[Entry]:
    """Return the entries that describe code: sorted, disjoint, not empty.

    Of two that start at the same place the first one stays; where entries overlap, the one that
    starts later begins anew.
    """
    found: dict[int, Entry] = {}
    for entry in read_entries(section):
        found.setdefault(entry[0], entry)
        if len(found) > MAX_ENTRIES:
            raise MalformedCallFramesError(f"more than {MAX_ENTRIES} entries")
    disjoint: list[Entry] = []
    spans = iter(code_ranges)
    low, high = next(spans, (0, 0))
    ordered = sorted(found.values(), key=itemgetter(0))
    for index, (start, end, cie, program) in enumerate(ordered):
        while start >= high and high:
            low, high = next(spans, (0, 0))
        if index + 1 < len(ordered) and ordered[index + 1][0] < end:
            end = ordered[index + 1][0]
        if low <= start < end <= high:
            disjoint.append((start, end, cie, program))
    return disjoint
