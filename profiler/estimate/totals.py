"""Estimates how many lookups each group made in the whole recording. Pure.

Lookups that began in counting windows are known. For the rest there are two witnesses:

- the samples of the call site (by_samples.py), which see every burst, if it uses enough CPU time;
- the CPU clock (by_work.py), which is exact, and knows nothing of who used the time.

The clock's word is only taken where samples are few, and do not contradict it. Where neither can
tell, what was seen is a lower bound.
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
_LEAST_DIFFERENCE = 3.0
_LEAST_SAMPLES = 20  # it takes so many to tell that the clock's lower bound is one
# A total whose standard deviation is more than this part of it says less than a lower bound.
_MOST_DEVIATION_RATIO = 0.5
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
    counts = _counts(windows)
    by_site: defaultdict[Site, dict[GroupKey, list[GroupKey]]] = defaultdict(dict)
    for key in groups:
        by_site[site_of(key)].setdefault(counted_key(key), []).append(key)
    work = by_work.work(windows, span.cpu_begin_ns, span.cpu_end_ns)
    found: dict[GroupKey, Total] = {}
    for families in by_site.values():
        together: Counter[int] = Counter()
        for counted in families:
            together.update(counts[counted])
        lookups = _by_window(together, windows)
        times_ns = sample_times(next(iter(families.values()))[0])
        site = _Site(windows, lookups, times_ns, span, work)
        for counted, keys in families.items():
            measured = {key: sum(groups[key].verdicts) for key in keys}
            total = _total(_by_window(counts[counted], windows), sum(measured.values()), site)
            found.update(_shared(total, measured))
    return found


def counted_key(key: GroupKey) -> GroupKey:
    """Return the key that a group's lookups are counted by: it has no buckets."""
    return replace(key, buckets=0)


def _shared(total: Total, measured: Mapping[GroupKey, int]) -> dict[GroupKey, Total]:
    """Return the totals of groups that are counted together, in the ratio of their measured ones.

    They are lookups in one container before its layout was known and after, or in containers that
    followed each other at one address.
    """
    if len(measured) == 1:
        return dict.fromkeys(measured, total)
    whole = sum(measured.values()) or 1
    left = total.counted
    found = {}
    for key in sorted(measured, key=lambda key: -measured[key]):
        part = measured[key] / whole
        counted = min(math.ceil(total.counted * part), left)
        left -= counted
        variance = None if total.variance is None else total.variance * part**2
        estimated = counted + part * (total.total - total.counted)
        found[key] = Total(counted, max(estimated, float(measured[key])), variance)
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
        work: by_work.Work,
    ) -> None:
        self._stretches = by_samples.stretches(
            windows, lookups, times_ns, span.period_ns, span.cpu_end_ns - span.cpu_begin_ns
        )
        by_clock = by_work.estimate(lookups, work)
        is_supported = by_clock and _is_supported(windows, lookups, times_ns, by_clock)
        self._work = work if is_supported else None

    def estimate(self, counts: Sequence[int]) -> Estimate | None:
        """Return how many lookups are outside of windows, from those that each counted."""
        samples, clock = self._by_samples(counts), self._by_clock(counts)
        return _better(samples, clock) if samples and clock else samples or clock

    def _by_clock(self, counts: Sequence[int]) -> Estimate | None:
        return by_work.estimate(counts, self._work) if self._work else None

    def _by_samples(self, counts: Sequence[int]) -> Estimate | None:
        if self._stretches is None:
            return None
        counted = [sum(counts[one.first : one.end]) for one in self._stretches]
        parts = list(zip(counted, self._stretches, strict=True))
        return Estimate(
            sum(count * one.weight for count, one in parts),
            sum(count**2 * one.variance for count, one in parts),
        )


def _better(samples: Estimate, clock: Estimate) -> Estimate:
    """Return the samples' word; the clock's where it is surer, and so near that it may be true.

    How far they are apart is a doubt about the clock's.
    """
    variance = clock.variance + (samples.lookups - clock.lookups) ** 2
    if clock.is_bound or variance > samples.variance:
        return samples
    return replace(clock, variance=variance)


def _is_supported(
    windows: Sequence[CountingWindow],
    lookups: Sequence[int],
    times_ns: Sequence[int],
    by_clock: Estimate,
) -> bool:
    """Return whether samples show the same part of the work outside of windows as the clock."""
    if by_clock.is_bound and len(times_ns) < _LEAST_SAMPLES:
        return False
    unseen_ratio = by_clock.lookups / (sum(lookups) + by_clock.lookups)
    expected = unseen_ratio * len(times_ns)
    outside = len(times_ns) - sum(by_samples.samples_counted(windows, times_ns))
    deviation = math.sqrt(expected * (1 - unseen_ratio))
    return abs(outside - expected) <= max(_DEVIATIONS * deviation, _LEAST_DIFFERENCE)


def _total(counts: Sequence[int], measured: int, site: _Site) -> Total:
    """Return a group's total; what was seen is never estimated away."""
    counted = sum(counts)
    outside = site.estimate(counts) if counted else None
    if outside is None:
        return Total(counted, float(max(counted, measured)), None)
    deviation = math.sqrt(outside.variance)
    if outside.is_bound:
        least = outside.lookups - _DEVIATIONS * deviation
        return Total(counted, max(counted + max(least, 0.0), float(measured)), None)
    total = max(counted + outside.lookups, float(measured))
    if deviation > _MOST_DEVIATION_RATIO * total:
        return Total(counted, float(max(counted, measured)), None)
    return Total(counted, total, outside.variance)


def _counts(windows: Sequence[CountingWindow]) -> dict[GroupKey, dict[int, int]]:
    """Return how many lookups were counted, by window, of those that saw any."""
    counts: defaultdict[GroupKey, dict[int, int]] = defaultdict(dict)
    for index, window in enumerate(windows):
        for seen in window.groups:
            counts[seen.key][index] = seen.lookups
    return counts
