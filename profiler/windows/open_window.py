"""A window that is open: what it was granted, and where its counts begin. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from profiler.model.observed import GroupCount, MeasuredWindow
from profiler.model.recording import ProbeWindow
from profiler.windows.budget import Grant
from profiler.windows.snapshots import WindowSnapshot


@dataclass(frozen=True, slots=True)
class OpenWindow:
    """One window; what goes on is replaced by its successor of the same number."""

    number: int
    predicts: bool  # where traversals have their frames, without a probe on traverse_first
    grant: Grant
    begin: WindowSnapshot

    def measured(
        self, end: WindowSnapshot, groups: tuple[GroupCount, ...], whole_cost_ns: float
    ) -> MeasuredWindow:
        """Return what it saw; `whole_cost_ns` includes placing and removing its probes."""
        begin = self.begin
        admitted = end.state.admitted - begin.state.admitted
        return MeasuredWindow(
            window=ProbeWindow(begin.time_ns, end.time_ns, admitted, round(whole_cost_ns)),
            groups=groups,
            cpu_ns=end.cpu_ns - begin.cpu_ns,
            cost_ns=round(begin.cost_ns(end)),
            admitted=admitted,
            refused=end.state.refused - begin.state.refused,
        )
