"""Numbers over time in bounded room: the most of each in every interval. Pure.

When there are too many intervals, each two become one. Counts that never fall stay exact that way:
the most is the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

MOST_INTERVALS = 300  # an even number
K = TypeVar("K")


class BoundedSeries(Generic[K]):
    """Series by their keys; all have the same intervals."""

    def __init__(self, most: int = MOST_INTERVALS) -> None:
        self._most = most
        self._looks = 0
        self._looks_each = 1  # in one interval
        self._ends_ns: list[int] = []
        self._series: dict[K, list[int | None]] = {}

    @property
    def ends_ns(self) -> tuple[int, ...]:
        """When each interval ended."""
        return tuple(self._ends_ns)

    def add(self, now_ns: int, values: Mapping[K, int]) -> None:
        """Take note of one look at what there is."""
        if self._looks % self._looks_each == 0:
            if len(self._ends_ns) == self._most:
                self._halve()
            self._ends_ns.append(now_ns)
        self._looks += 1
        self._ends_ns[-1] = now_ns
        last = len(self._ends_ns) - 1
        for key, value in values.items():
            series = self._series.setdefault(key, [])
            series += [None] * (last + 1 - len(series))
            series[last] = _most(series[last], value)

    def all(self) -> dict[K, tuple[int | None, ...]]:
        """Return each series, None where it had no value."""
        intervals = len(self._ends_ns)
        return {
            key: (*series, *[None] * (intervals - len(series)))
            for key, series in self._series.items()
        }

    def _halve(self) -> None:
        """Make one interval of each two."""
        self._looks_each *= 2
        self._ends_ns = self._ends_ns[1::2]
        for key, series in self._series.items():
            if len(series) % 2:
                series.append(None)
            pairs = zip(series[::2], series[1::2], strict=True)
            self._series[key] = [_most(one, other) for one, other in pairs]


def _most(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
