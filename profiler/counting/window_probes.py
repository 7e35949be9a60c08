"""Places the probes that a window needs, and takes them away."""

from __future__ import annotations

from dataclasses import replace

from profiler.counting.discovery import Discovery
from profiler.counting.group_counts import GroupCounts
from profiler.probes.attach import AttachPoint, UprobePrograms
from profiler.probes.planner import PlannedProbe, ProbePlan
from profiler.wire.lookups import Place, place_of


class WindowProbes:
    """The probes of one process; `seen` are all that were placed to measure at least once."""

    def __init__(
        self,
        programs: UprobePrograms,
        plan: ProbePlan,
        pid: int,
        discovery: Discovery,
        counts: GroupCounts,
    ) -> None:
        self.programs = programs
        self.plan = plan
        self._pid = pid
        self._discovery = discovery
        self._counts = counts
        self.seen: tuple[PlannedProbe, ...] = ()

    def place(self, predicts: bool, is_contended: bool) -> None:
        """Place the probes, busy ones apart where threads wait for each other; raises OSError."""
        wanted = self._wanted(predicts)
        points = [self.point(probe, is_contended) for probe in wanted]
        self.programs.attach(points, self._pid)
        self.seen += tuple(probe for probe in wanted if probe not in self.seen)
        self._discovery.placed()

    def point(self, probe: PlannedProbe, is_contended: bool) -> AttachPoint:
        """Return where a probe is placed, apart from the others if lookups pass it all the time."""
        return replace(probe.point, is_busy=is_contended and self._counts.is_busy(probe))

    def remove(self) -> None:
        """Take all probes away."""
        self.programs.detach()

    def _wanted(self, predicts: bool) -> tuple[PlannedProbe, ...]:
        probes = (*self.plan.probes, *self._discovery.comparisons.values())
        return tuple(p for p in probes if not (predicts and _place(p) is Place.TRAVERSAL_FIRST))


def _place(probe: PlannedProbe) -> Place:
    return place_of(probe.point.cookie)
