"""Adds up distributions and reads quantiles off them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from profiler.model.profile import Quantiles
from profiler.model.recording import Distribution


def add(distributions: Iterable[Distribution]) -> Distribution:
    """Return the distribution over all values of all of them; slots must be of one scale."""
    parts = tuple(distributions)
    slots: Counter[tuple[int, int]] = Counter()
    for part in parts:
        for low, high, number in part.slots:
            slots[low, high] += number
    return Distribution(
        sum(part.count for part in parts),
        sum(part.total for part in parts),
        max((part.max for part in parts if part.max is not None), default=None),
        tuple((*edges, number) for edges, number in sorted(slots.items())),
    )


def time_resolution_ns(trap_ns: int) -> int:
    """Return the shortest time of a lookup that means something, a power of two.

    From a measured time the calibrated cost of its traps is taken away; what is left of a lookup
    that is shorter than one trap is mostly the error of that calibration.
    """
    return 1 << (trap_ns - 1).bit_length() if trap_ns > 0 else 1


def merge_below(distribution: Distribution, limit: int) -> Distribution:
    """Return the distribution with all values below a limit in one slot.

    `limit` is a power of two, as no slot reaches beyond one.
    """
    below = sum(number for low, _, number in distribution.slots if low < limit)
    kept = tuple(slot for slot in distribution.slots if slot[0] >= limit)
    first = ((0, limit, below),) if below else ()
    return Distribution(distribution.count, distribution.total, distribution.max, first + kept)


def quantile(distribution: Distribution, share: float) -> int | None:
    """Return the value that `share` of the values do not exceed; None when there are none.

    Within a wide slot the largest value is meant, so the result is never too small; it is at most
    1/32 too large (the width of a slot).
    """
    seen = 0
    for _, high, number in distribution.slots:
        seen += number
        if seen >= share * distribution.count:
            largest = high - 1
            return largest if distribution.max is None else min(largest, distribution.max)
    return None


def quantiles(distribution: Distribution) -> Quantiles:
    """Return what the profile shows of a distribution."""
    return Quantiles(
        p50=quantile(distribution, 0.50),
        p90=quantile(distribution, 0.90),
        p99=quantile(distribution, 0.99),
        max=distribution.max,
        mean=distribution.total / distribution.count if distribution.count else None,
        total=distribution.total,
        histogram=distribution.slots,
    )
