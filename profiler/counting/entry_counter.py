"""Counts every lookup as it begins, all the time while that is cheap: see bpf/entry_counts.h.

Owner of the maps `counting_control` and `counting_state`. Its windows are independent of those that
measure, and may take half of what is planned for windows. Where lookups are few, one window lasts
as long as the recording, and is noted in parts. Where they are many, it is closed when its
allowance is spent, and opened again at a random moment once there is enough of the budget.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

from profiler.counting.group_counts import GroupCounts
from profiler.linux.realtime import RealtimePriority
from profiler.model.observed import CountingWindow
from profiler.probes.attach import AttachPoint, UprobePrograms
from profiler.process.target import TargetProcess
from profiler.windows.budget import Governor, Grant
from profiler.windows.costs import PLACING_NS
from profiler.windows.kept_windows import KeptWindows
from profiler.windows.window_budget import WindowBudget
from profiler.wire.lookups import CountingControl, CountingState

SHARE = 0.5  # of the flow into the budget's bucket
_ZERO = struct.pack("<I", 0)
_NONE = CountingState(0, 0, 0, 0)
_PROGRAM_NS = 300  # one run of the program; only plans depend on it
_PART_NS = 2_000_000_000  # windows that stay open are noted in parts of this length
_BLOCKED_NS = 50_000_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What was known at one end of a window."""

    time_ns: int
    cpu_ns: int
    probes_ns: float  # what all probes had taken


class EntryCounter:
    """The probes that count, within their share of the budget."""

    def __init__(
        self,
        programs: UprobePrograms,
        points: Sequence[AttachPoint],
        target: TargetProcess,
        counts: GroupCounts,
        governor: Governor,
        priority: RealtimePriority,
    ) -> None:
        self._programs = programs
        self._points = points
        self._pid = target.pid
        self._clock = target.clock
        self._counts = counts
        self._governor = governor
        self._priority = priority
        self._budget = WindowBudget(governor, governor.share(SHARE), placing_ns=PLACING_NS)
        # Of the open window, or of the part of it that is not yet noted.
        self._begin: Snapshot | None = None
        self._end = self._snapshot()  # of the last one
        self._allowance_ns = 0  # up to which `spent_ns` may grow
        self.windows: KeptWindows[CountingWindow] = KeptWindows()

    @property
    def is_open(self) -> bool:
        """Return whether lookups are being counted."""
        return self._begin is not None

    @property
    def lost(self) -> int:
        """Lookups that began and were not counted, since there was no room for their group."""
        return self._counted().lost

    def step(self, now_ns: int, may_open: bool) -> int:
        """Open, go on or close if it is time; return when to call again. Raises OSError."""
        if self._begin is None:
            return self._open(now_ns) if may_open else now_ns + _BLOCKED_NS
        is_used_up = self._counted().used_up_ns == self._allowance_ns
        if not is_used_up and now_ns < self._budget.grant.until_ns:
            return self._budget.grant.until_ns
        self._charge(closed=False)
        grant = None if is_used_up else self._budget.go_on(now_ns)
        if grant is None:
            self.close()
            return now_ns
        self._allow(grant)
        if now_ns - self._begin.time_ns >= _PART_NS:
            self.mark()
        return grant.until_ns

    def mark(self) -> None:
        """Note what was counted up to now: a window that measures begins or has ended.

        Its cost is then in one part and not in those beside it.
        """
        if self._begin is not None:
            self._charge(closed=False)
            end = self._snapshot()
            self._note(self._begin, end)
            self._begin = end

    def close(self) -> None:
        """Count no more, and take the probes away."""
        if self._begin is None:
            return
        with self._priority.during():  # as long as the probes are there, lookups are slowed down
            end = self._snapshot(exactly=True)
            self._set(is_open=False)
            self._programs.stop_counting()
        self._note(self._begin, end)
        self._begin = None
        self._charge(closed=True)

    def abort(self) -> None:
        """Take the probes away."""
        self._programs.stop_counting()

    def _open(self, now_ns: int) -> int:
        """Begin to count, if that is granted."""
        grant = self._budget.open(now_ns)
        if grant is None:
            return self._budget.next_ns(now_ns)
        with self._priority.during():
            self._programs.count(self._points, self._pid)
            self._charge(closed=False)
            self._begin = self._snapshot(exactly=True)
            self._allow(grant)
        return grant.until_ns

    def _allow(self, grant: Grant) -> None:
        self._allowance_ns = self._counted().spent_ns + grant.allowance_ns
        self._set(is_open=True)

    def _set(self, is_open: bool) -> None:
        control = CountingControl(is_open, self._allowance_ns, _PROGRAM_NS)
        self._programs.module.map("counting_control").set(_ZERO, control.encode())

    def _counted(self) -> CountingState:
        value = self._programs.module.map("counting_state").get(_ZERO)
        return CountingState.decode(value) if value else _NONE

    def _snapshot(self, exactly: bool = False) -> Snapshot:
        cpu_ns = self._clock.read_exactly_ns() if exactly else self._clock.read_ns()
        return Snapshot(time.monotonic_ns(), cpu_ns, self._governor.probes_ns)

    def _charge(self, closed: bool) -> None:
        """Charge what was taken since the last time."""
        program = self._programs.counting_program.statistics()
        taken_ns = self._counted().trap_ns + program.run_time_ns
        self._budget.charge(taken_ns, time.monotonic_ns(), closed)

    def _note(self, begin: Snapshot, end: Snapshot) -> None:
        """Keep what was counted between two snapshots."""
        self.windows.add(
            CountingWindow(
                start_ns=begin.time_ns,
                end_ns=end.time_ns,
                open_ns=end.time_ns - begin.time_ns,
                cpu_begin_ns=begin.cpu_ns,
                cpu_end_ns=end.cpu_ns,
                cpu_ns=end.cpu_ns - begin.cpu_ns,
                cost_ns=round(end.probes_ns - begin.probes_ns),
                cost_before_ns=round(begin.probes_ns - self._end.probes_ns),
                groups=self._counts.entry_counts(),
            )
        )
        self._end = end
