"""What lookups cost in one container or from one call site, in the same words for both."""

from __future__ import annotations

import math
from dataclasses import dataclass

from profiler.model.profile import (
    CallSiteUse,
    ContainerUse,
    LookupCounts,
    Profile,
    Quantiles,
    Search,
)
from profiler.renderers import numbers
from profiler.renderers.labels import call_site_label, container_label, printable

_SEARCHES = {
    Search.KEY: "by key",
    Search.PARTIAL: "by partial key",
    Search.OBJECT: "by object",
    Search.SCAN: "scanning every bucket",
    Search.UNKNOWN: "unknown",
}

# Half of an interval, of the estimate: a wider one is uneven, and shown by its limits.
_WIDE_RATIO = 0.5


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number of lookups, which lies in an interval with 95 % confidence if there is one.

    `is_bound`: there are so many at least; nobody can know how many.
    """

    total: float
    interval: tuple[float, float] | None = None
    is_bound: bool = False

    def rate(self, seconds: float) -> str:
        """Return the number for each second."""
        if seconds <= 0:
            return numbers.UNKNOWN
        words = "at least " if self.is_bound else ""
        return words + numbers.count(self.total / seconds)

    def error(self, seconds: float = 1.0) -> str:
        """Return how far off it may be; its limits for each second where that is much."""
        if self.interval is None or self.total <= 0 or seconds <= 0:
            return ""
        low, high = self.interval
        error_ratio = (high - low) / 2 / self.total
        if error_ratio <= _WIDE_RATIO:
            return f"± {numbers.percent(error_ratio)}"
        return f"({numbers.short(low / seconds)} to {numbers.short(high / seconds)})"


@dataclass(frozen=True, slots=True)
class LookupUse:
    """Lookups of one container or one call site; estimates are for the whole window."""

    label: str
    place: str  # what kind of container it is, or which container the call site searches
    container: int  # index into Profile.containers
    measured: int
    estimate: Estimate
    hit_ratio: float | None
    estimated_duration_ns: float
    estimated_comparisons: float | None
    comparisons: Quantiles
    sort_calls: Quantiles
    duration_ns: Quantiles


def container_uses(profile: Profile) -> tuple[LookupUse, ...]:
    """Return one use for each container, most time first."""
    uses = (_container_use(item, index) for index, item in enumerate(profile.containers))
    return tuple(sorted(uses, key=lambda use: -use.estimated_duration_ns))


def call_site_uses(profile: Profile) -> tuple[LookupUse, ...]:
    """Return one use for each pair of call site and container, most time first."""
    uses = (
        _call_site_use(site, container, index)
        for index, container in enumerate(profile.containers)
        for site in container.call_sites
    )
    return tuple(sorted(uses, key=lambda use: -use.estimated_duration_ns))


def by_comparisons(uses: tuple[LookupUse, ...]) -> tuple[LookupUse, ...]:
    """Return the uses with the most comparisons first; those not counted come last."""
    return tuple(sorted(uses, key=lambda use: -(use.estimated_comparisons or 0.0)))


def shape(container: ContainerUse) -> str | None:
    """Return how many elements are spread over how many buckets, or None if nobody knows."""
    if container.elements_start is None and container.elements_end is None:
        return None
    start, end = container.elements_start, container.elements_end
    elements = numbers.column(end if start is None or start == end else start)
    if start is not None and end is not None and start != end:
        elements += f" to {numbers.column(end)}"
    text = f"{elements} elements"
    if container.buckets is not None:
        text += f" in {numbers.exact(container.buckets)} buckets"
    if container.chain.mean is not None:
        text += f", chain {_mean(container.chain.mean)} on average"
    if container.chain.max is not None:
        text += f", {numbers.exact(container.chain.max)} at most"
    return text


def all_lookups(profile: Profile) -> Estimate:
    """Return the estimated number of all lookups."""
    counts = [container.lookups for container in profile.containers]
    total = math.fsum(count.total_or_bound for count in counts)
    known = [_estimate(count) for count in counts]
    below = math.hypot(*(one.total - one.interval[0] for one in known if one.interval))
    above = math.hypot(*(one.interval[1] - one.total for one in known if one.interval))
    if any(one.is_bound for one in known):
        return Estimate(max(total - below, 0.0), is_bound=True)
    return Estimate(total, (max(total - below, 0.0), total + above))


def _estimate(counts: LookupCounts) -> Estimate:
    if counts.estimated_total is None or counts.estimated_high is None:
        return Estimate(counts.estimated_low, is_bound=True)
    return Estimate(counts.estimated_total, (counts.estimated_low, counts.estimated_high))


def _container_use(container: ContainerUse, index: int) -> LookupUse:
    counts = container.lookups
    return LookupUse(
        label=container_label(container),
        place=_place(container),
        container=index,
        measured=counts.measured,
        estimate=_estimate(counts),
        hit_ratio=counts.hit_ratio,
        estimated_duration_ns=container.estimated_duration_ns,
        estimated_comparisons=_counted(container.comparisons, container.estimated_comparisons),
        comparisons=container.comparisons,
        sort_calls=container.sort_calls,
        duration_ns=container.duration_ns,
    )


def _call_site_use(site: CallSiteUse, container: ContainerUse, index: int) -> LookupUse:
    total = site.total_or_bound
    return LookupUse(
        label=call_site_label(site),
        place=f"in {container_label(container)}, {_SEARCHES[site.search]}",
        container=index,
        measured=site.measured,
        estimate=Estimate(total, is_bound=site.estimated_total is None),
        hit_ratio=site.hit_ratio,
        estimated_duration_ns=total * (site.duration_ns.mean or 0.0),
        estimated_comparisons=_counted(site.comparisons, total * (site.comparisons.mean or 0)),
        comparisons=site.comparisons,
        sort_calls=site.sort_calls,
        duration_ns=site.duration_ns,
    )


def _place(container: ContainerUse) -> str:
    return f"{printable(container.kind)} at {container.address:#x}"


def _counted(measured: Quantiles, estimate: float) -> float | None:
    return None if measured.mean is None else estimate


def _mean(value: float) -> str:
    return numbers.count(value) if value >= 100 else numbers.short(value)
