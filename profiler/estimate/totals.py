"""Estimates how many lookups each group made in the whole recording. Pure.

Lookups that began in counting windows are known. For the rest there are two witnesses:

- the samples of the call site (by_samples.py), which see every burst, if it uses enough CPU time;
- the CPU clock (by_work.py), which is exact, and knows nothing of who used the time.

The clock's word is only taken if the samples do not contradict it. Where neither can tell, what was
seen is a lower bound.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from profiler.estimate import by_samples, by_work
from profiler.estimate.by_work import Estimate
from profiler.model.observed import CountingWindow
from profiler.wire.lookups import Group, GroupKey

_DEVIATIONS = 2.0  # standard deviations that 95 of 100 numbers are within
# Samples outside of windows may be off what the clock says by so many in any case.
_LEAST_DIFFERENCE = 2.0
_LEAST_SAMPLES = 20  # it takes so many to tell that the clock's lower bound is one
Site = tuple[int, int, int]  # file, line, function, as in a group's key


@dataclass(frozen=True, slots=True)
class Total:
    """How many lookups a group made.

    `counted` were seen to begin. `variance` is that of `total`; None: that is a lower bound.
    """

    counted: int
    total: float
    variance: float | None


@dataclass(frozen=True, slots=True)
class Span:
    """What was recorded, on the target's CPU clock, and the time between two samples of a CPU."""

    cpu_begin_ns: int
    cpu_end_ns: int
    period_ns: float


def estimate_totals(
    windows: Sequence[CountingWindow],
    groups: Mapping[GroupKey, Group],
    sample_times: Callable[[GroupKey], Sequence[int]],
    span: Span,
) -> dict[GroupKey, Total]:
    """Return the number of lookups of each group.

    `sample_times` returns when a CPU sample was taken at a group's call site, ascending.
    """
    counts = _counts(windows, groups)
    by_site: defaultdict[Site, list[GroupKey]] = defaultdict(list)
    for key in counts:
        by_site[site_of(key)].append(key)
    good = by_work.good_windows(windows)
    pooled = by_work.pools([windows[index] for index in good], span.cpu_begin_ns, span.cpu_end_ns)
    found: dict[GroupKey, Total] = {}
    for keys in by_site.values():
        together: Counter[int] = Counter()
        for key in keys:
            together.update(counts[key])
        lookups = _by_window(together, windows)
        site = _Site(windows, lookups, sample_times(keys[0]), span, good, pooled)
        for key in keys:
            measured = sum(groups[key].verdicts)
            found[key] = _total(_by_window(counts[key], windows), measured, site)
    return found


def _by_window(counts: Mapping[int, int], windows: Sequence[CountingWindow]) -> list[int]:
    return [counts.get(index, 0) for index in range(len(windows))]


def site_of(key: GroupKey) -> Site:
    """Return the call site of a group."""
    return key.file, key.line, key.function


class _Site:
    """What can be said of all lookups from one call site."""

    def __init__(
        self,
        windows: Sequence[CountingWindow],
        lookups: Sequence[int],
        times_ns: Sequence[int],
        span: Span,
        good: Sequence[int],
        pooled: Sequence[by_work.Pool],
    ) -> None:
        """`good`: the windows that `pooled` are made of, by index."""
        self._stretches = by_samples.stretches(windows, lookups, times_ns, span.period_ns)
        self._good = good
        self._pooled = pooled
        by_clock = self._by_clock(lookups)
        if by_clock is None or not _is_supported(windows, lookups, times_ns, by_clock):
            self._pooled = ()

    def estimate(self, counts: Sequence[int]) -> Estimate | None:
        """Return the better estimate of lookups that were counted in each window."""
        found = [one for one in (self._by_samples(counts), self._by_clock(counts)) if one]
        return min(found, key=lambda one: (one.is_bound, one.variance), default=None)

    def _by_clock(self, counts: Sequence[int]) -> Estimate | None:
        if not self._pooled:
            return None
        return by_work.estimate([counts[index] for index in self._good], self._pooled)

    def _by_samples(self, counts: Sequence[int]) -> Estimate | None:
        if self._stretches is None:
            return None
        totals = [sum(counts[one.first : one.end]) * one.weight for one in self._stretches]
        variances = [
            total**2 * one.variance_ratio
            for total, one in zip(totals, self._stretches, strict=True)
        ]
        return Estimate(sum(totals), sum(variances))


def _is_supported(
    windows: Sequence[CountingWindow],
    lookups: Sequence[int],
    times_ns: Sequence[int],
    by_clock: Estimate,
) -> bool:
    """Return whether samples show the same part of the work outside of windows as the clock."""
    if by_clock.is_bound and len(times_ns) < _LEAST_SAMPLES:
        return False
    unseen_ratio = 1 - sum(lookups) / by_clock.total
    expected = unseen_ratio * len(times_ns)
    outside = len(times_ns) - sum(by_samples.samples_counted(windows, times_ns))
    deviation = math.sqrt(expected * (1 - unseen_ratio))
    return abs(outside - expected) <= max(_DEVIATIONS * deviation, _LEAST_DIFFERENCE)


def _total(counts: Sequence[int], measured: int, site: _Site) -> Total:
    """Return a group's total; what was seen is never estimated away."""
    counted = sum(counts)
    seen = max(counted, measured)
    estimate = site.estimate(counts) if counted else None
    if estimate is None:
        return Total(counted, float(seen), None)
    if estimate.is_bound:
        bound = estimate.total - _DEVIATIONS * math.sqrt(estimate.variance)
        return Total(counted, max(bound, float(seen)), None)
    return Total(counted, max(estimate.total, float(seen)), estimate.variance)


def _counts(
    windows: Sequence[CountingWindow], groups: Mapping[GroupKey, Group]
) -> dict[GroupKey, dict[int, int]]:
    """Return how many lookups of each group were counted, by window, of those that saw any."""

    def measured(key: GroupKey) -> int:
        return sum(groups[key].verdicts)

    # Counted keys have no comparator. Where a container's address was used twice, they belong to
    # the group with more lookups.
    owners = {replace(key, comparator=0): key for key in sorted(groups, key=measured)}
    counts: dict[GroupKey, dict[int, int]] = {key: {} for key in groups}
    for index, window in enumerate(windows):
        for seen in window.groups:
            if seen.key in owners:
                counts[owners[seen.key]][index] = seen.lookups
    return counts
