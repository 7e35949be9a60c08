"""Times that are added up into a distribution, in bounded room."""

from __future__ import annotations

from collections import Counter

from profiler.model.quantities import Distribution

_EXACT_BITS = 7  # values below 128 have slots of their own
_SLOT_BITS = 6  # of larger ones, so many bits are kept: slots are at most 1/32 wide


class Durations:
    """One distribution that grows."""

    def __init__(self) -> None:
        self._count = self._total = 0
        self._max: int | None = None
        self._slots: Counter[tuple[int, int]] = Counter()

    def add(self, value: int) -> None:
        """Count a value; what is below zero counts as zero."""
        value = max(value, 0)
        self._count += 1
        self._total += value
        self._max = value if self._max is None else max(self._max, value)
        bits = value.bit_length()
        shift = bits - _SLOT_BITS if bits > _EXACT_BITS else 0
        low = value >> shift << shift
        self._slots[low, low + (1 << shift)] += 1

    def distribution(self) -> Distribution:
        """Return what was counted."""
        slots = tuple((low, high, count) for (low, high), count in sorted(self._slots.items()))
        return Distribution(self._count, self._total, self._max, slots)
