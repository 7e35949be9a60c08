"""What lookups cost in one container or from one call site, in the same words for both."""

from __future__ import annotations

import math
from dataclasses import dataclass

from profiler.model.cpu_share import CpuShare
from profiler.model.profile import CallSiteUse, ContainerUse, LookupCounts, Profile, Quantiles
from profiler.model.search import Search
from profiler.renderers.words import numbers
from profiler.renderers.words.histogram import Row, count_rows, time_rows
from profiler.renderers.words.labels import call_site_label, container_label, printable
from profiler.renderers.words.shared import shared

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
        return ("at least " if self.is_bound else "") + numbers.count(self.total / seconds)

    def error(self, seconds: float = 1.0) -> str:
        """Return how far off it may be; its limits for each second where that is much."""
        if self.interval is None or self.total <= 0:
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
    place: str  # what kind of container it is ("": its label), or which one a call site searches
    shape: str  # how many elements it holds in how many buckets; "" if nobody knows
    measured: int
    estimate: Estimate
    hit_ratio: float | None
    estimated_duration_ns: float
    estimated_comparisons: float | None
    comparisons: Quantiles
    sort_calls: Quantiles
    duration_ns: Quantiles
    counted: int = 0
    cpu: CpuShare | None = None

    def seen(self) -> str:
        """Return how many lookups were seen, and how many of them were measured."""
        measured = f"{self.measured:,} measured"
        return f"{self.counted:,} counted, {measured}" if self.counted else measured

    def histograms(self) -> list[tuple[str, list[Row]]]:
        """Return the title and the rows of each quantity that was measured, also of zeros alone."""
        sort_calls = self.sort_calls.histogram if self.sort_calls.max else ()  # few call it
        return [
            (title, rows(slots))
            for title, slots, rows in (
                ("Comparisons per lookup", self.comparisons.histogram, count_rows),
                ("Sort calls per lookup", sort_calls, count_rows),
                ("Time per lookup", self.duration_ns.histogram, time_rows),
            )
            if slots
        ]


@shared
def container_uses(profile: Profile) -> tuple[LookupUse, ...]:
    """Return one use for each container, most time first."""
    return tuple(
        LookupUse(
            label=container_label(container),
            place=_place(container),
            shape=shape(container),
            measured=container.lookups.measured,
            estimate=_estimate(container.lookups),
            hit_ratio=container.lookups.hit_ratio,
            estimated_duration_ns=container.estimated_duration_ns,
            estimated_comparisons=_counted(container.comparisons, container.estimated_comparisons),
            comparisons=container.comparisons,
            sort_calls=container.sort_calls,
            duration_ns=container.duration_ns,
            counted=container.lookups.counted,
            cpu=container.cpu,
        )
        for container in profile.containers
    )


def _place(container: ContainerUse) -> str:
    """Return its kind and address, unless it is called by them already."""
    place = f"{container.kind} at {container.address:#x}"
    return "" if place == container.label else printable(place)


def call_site_uses(profile: Profile) -> tuple[LookupUse, ...]:
    """Return one use for each pair of call site and container, most time first."""
    uses = (
        call_site_use(site, container)
        for container in profile.containers
        for site in container.call_sites
    )
    return tuple(sorted(uses, key=lambda use: -use.estimated_duration_ns))


def call_site_use(site: CallSiteUse, container: ContainerUse) -> LookupUse:
    """Return the use of one call site."""
    total = site.total_or_bound
    return LookupUse(
        label=call_site_label(site),
        place=f"in {container_label(container)}, {_SEARCHES[site.search]}",
        shape="",
        measured=site.measured,
        estimate=Estimate(total, is_bound=site.estimated_total is None),
        hit_ratio=site.hit_ratio,
        estimated_duration_ns=site.estimated_duration_ns,
        estimated_comparisons=_counted(site.comparisons, total * (site.comparisons.mean or 0)),
        comparisons=site.comparisons,
        sort_calls=site.sort_calls,
        duration_ns=site.duration_ns,
        counted=site.counted,
        cpu=site.cpu,
    )


def _counted(measured: Quantiles, estimate: float) -> float | None:
    return None if measured.mean is None else estimate


def _estimate(counts: LookupCounts) -> Estimate:
    if counts.estimated_total is None or counts.estimated_high is None:
        return Estimate(counts.estimated_low, is_bound=True)
    return Estimate(counts.estimated_total, (counts.estimated_low, counts.estimated_high))


def all_lookups(profile: Profile) -> Estimate:
    """Return the estimated number of all lookups."""
    known = [_estimate(container.lookups) for container in profile.containers]
    total = math.fsum(one.total for one in known)
    below = math.hypot(*(one.total - one.interval[0] for one in known if one.interval))
    above = math.hypot(*(one.interval[1] - one.total for one in known if one.interval))
    if any(one.is_bound for one in known):
        return Estimate(max(total - below, 0.0), is_bound=True)
    return Estimate(total, (max(total - below, 0.0), total + above))


def growth(profile: Profile) -> list[tuple[ContainerUse, int]]:
    """Return the containers whose growth is known, and that growth; the most changed first."""
    known = [
        (container, container.elements_end - container.elements_start)
        for container in profile.containers
        if container.elements_start is not None and container.elements_end is not None
    ]
    return sorted(known, key=lambda item: (-abs(item[1]), item[0].address))


def shape(container: ContainerUse) -> str:
    """Return how many elements are spread over how many buckets, or "" if nobody knows."""
    start, end = container.elements_start, container.elements_end
    known = [value for value in (start, end) if value is not None]
    if not known:
        return f"{container.count:,} of one kind" if container.count > 1 else ""
    text = " to ".join(f"{value:,}" for value in dict.fromkeys(known)) + " elements"
    if container.buckets is not None:
        text += f" in {container.buckets:,} buckets"
    if container.chain.mean is not None:
        text += f", chain {_mean(container.chain.mean)} on average"
    if container.chain.max is not None:
        text += f", {container.chain.max:,} at most"
    return text


def _mean(value: float) -> str:
    return numbers.count(value) if value >= 100 else numbers.short(value)
