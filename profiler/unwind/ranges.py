"""Ranges of a file or of addresses, as files declare them: they may overlap. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def merged(ranges: Iterable[tuple[int, int]], most: int) -> tuple[tuple[int, int], ...]:
    """Return [start, end) ranges in order, each place once, and no more than `most` of it."""
    found: list[tuple[int, int]] = []
    total = 0
    for start, end in sorted(ranges):
        if found and start < found[-1][1]:
            first, last = found.pop()
            total -= last - first
            start, end = first, max(last, end)
        end = min(end, start + most - total)
        if start >= end:
            break
        found.append((start, end))
        total += end - start
    return tuple(found)
