"""What all parts of a recording count in: windows, distributions, where events went.

Times are integer nanoseconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Accounting:
    """Where every event of one measurement went: fired is the sum of the other five."""

    fired: int = 0
    kept: int = 0
    filtered: int = 0
    lost: int = 0
    collided: int = 0
    truncated: int = 0

    @property
    def seen(self) -> int:
        """What is in the recording, also with truncated stacks or walks."""
        return self.kept + self.truncated

    @property
    def missed(self) -> int:
        """What should be in the recording and is not."""
        return self.lost + self.collided

    def balanced(self) -> bool:
        """Return whether fired = kept + filtered + lost + collided + truncated."""
        parts = (self.kept, self.filtered, self.lost, self.collided, self.truncated)
        return self.fired == sum(parts)


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open interval [start_ns, end_ns)."""

    start_ns: int
    end_ns: int

    @property
    def duration_ns(self) -> int:
        """Nanoseconds."""
        return self.end_ns - self.start_ns

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.duration_ns / 1e9


@dataclass(frozen=True, slots=True)
class Distribution:
    """Exact total, maximum and histogram of one quantity over a group of events.

    `slots` holds (low, high, count): `count` values v with low <= v < high; slots are disjoint and
    ascending; small values have slots of width 1.
    """

    count: int
    total: int
    max: int | None
    slots: tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Distribution of one quantity; p50 to max are None when nothing was measured.

    `histogram`: (low, high, count), `count` values v with low <= v < high, ascending.
    """

    p50: int | None
    p90: int | None
    p99: int | None
    max: int | None
    mean: float | None
    total: int
    histogram: tuple[tuple[int, int, int], ...]
