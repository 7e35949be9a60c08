"""What lookups take: CPU time by samples, and the time that windows measured, with waits. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from profiler.model.cpu_share import CpuShare
from profiler.model.profile import CallSiteUse, Profile

_LEAST_RATIO = 0.005  # below half a per cent of one CPU, or of the window, it is no problem
_TIMED_WELL = 2  # times the resolution: so long are lookups whose time is known well
_WAITS = 1.5  # times the CPU time: threads that are so long in lookups wait for locks there


@dataclass(frozen=True, slots=True)
class LookupCost:
    """What the lookups of some call sites take."""

    cpu: CpuShare | None  # None: known from windows only
    time_ratio: float  # of the window
    doubts: tuple[str, ...]  # about that time

    @property
    def shows_time(self) -> bool:
        """Return whether their time is known well, and tells more than the CPU time does."""
        if self.doubts:
            return False
        return self.cpu is None or self.time_ratio > _WAITS * self.cpu.high

    @property
    def ratio(self) -> float:
        """What counts for the order of findings."""
        return self.time_ratio if self.cpu is None else self.cpu.ratio

    @property
    def is_much(self) -> bool:
        """Return whether it is worth a line."""
        return max(self.ratio, self.time_ratio if self.shows_time else 0.0) >= _LEAST_RATIO


def lookup_cost(profile: Profile, sites: Sequence[CallSiteUse]) -> LookupCost:
    """Return what the lookups of these call sites take together."""
    time_ratio = sum(site.estimated_duration_ns for site in sites) / profile.window.duration_ns
    parts = [site.cpu for site in sites if site.cpu is not None]
    cpu = None
    if parts:
        cpu = profile.cpu_share(
            math.fsum(part.samples for part in parts),
            is_divided=any(part.is_divided for part in parts),
        )
    return LookupCost(cpu, time_ratio, tuple(_doubts(profile, sites)))


def _doubts(profile: Profile, sites: Sequence[CallSiteUse]) -> Iterator[str]:
    """Say so where lookups are so short that their time or number is known roughly."""
    if any(site.estimated_total is None for site in sites):
        yield "there are at least so many; how many is not known, so their time is rough"
    lookups = sum(site.total_or_bound for site in sites)
    resolution_ns = profile.cost.resolution_ns
    if sum(site.estimated_duration_ns for site in sites) < _TIMED_WELL * resolution_ns * lookups:
        yield (
            f"their time is rough: they take hardly more than {resolution_ns / 1000:.3g} us, the "
            "shortest time that can be measured"
        )
