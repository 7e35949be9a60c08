"""Measures lookups in the target: opens and closes the probes, and reads what they counted.

Owner of the maps of bpf/lookups.bpf.c. A window admits lookups for a while; one that was admitted
is followed to its return, however long it takes, before the probes are taken away. So a lookup's
chance of being measured does not depend on how long it takes. Where lookups are so many and short
that measuring slows them down, some windows only count them (bpf/entry_counts.h, window_kinds.py).
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from profiler.linux.realtime import RealtimePriority
from profiler.measure.budget import LATE_NS, Governor, Grant
from profiler.measure.discovery import Discovery
from profiler.measure.group_counts import GroupCounts
from profiler.measure.kept_windows import KeptWindows
from profiler.measure.lookup_counters import LookupCounters
from profiler.measure.string_cache import StringCache
from profiler.measure.thread_states import ThreadStates
from profiler.measure.traversal_frames import TraversalFrames
from profiler.measure.window_kinds import WindowKind, WindowKinds
from profiler.measure.window_snapshots import WindowSnapshot, WindowSnapshots
from profiler.model.observed import Calibration, MeasuredWindow
from profiler.model.recording import ProbeWindow
from profiler.probes.attach import UprobePrograms
from profiler.probes.planner import PlannedProbe, ProbePlan, ProbePlanner
from profiler.process.cpu_clock import ProcessClock
from profiler.process.memory import TargetMemory
from profiler.wire.lookups import Control, Group, GroupKey, LookupCounter, Place, place_of

_ZERO = struct.pack("<I", 0)
NODE_NS = 70  # expected cost of one step of a walk; only plans, never results, depend on it
STACK_NS = 8_000
STACK_SHARE = 8
# The same, and that of returns, in windows that are overhead-dominated.
FEW_STACKS_SHARE = 64
FEW_RETURNS_SHARE = 8
PROGRAM_NS = 300  # a probe's program without walk and stack; until its run time is known
ENTRY_COUNT_NS = 200
# What placing and removing the probes takes from the target beside the traps: its pages are copied
# and its CPUs have to forget them. See docs/overhead.md for how it was measured.
PLACING_NS = 150_000
GRACE_NS = 2_000_000_000  # a lookup that takes longer than this after its window is given up
# The kernel refuses lookups this long after a window's end, should we not come to close it.
_LATEST_NS = 50_000_000
# Walks that took longer than this in one window need all that can be saved for the next one.
_LONG_WALKS_NS = 1_500_000
# A window that counts is open so much longer if its allowance lasts: the more it sees, the better.
_COUNT_LONGER_NS = 750_000_000
# A window that costs this much beyond its allowance had threads wait for each other while probes
# were placed; from then on busy ones are placed apart. That takes a second wait for the kernel.
_CONTENDED_NS = 2_000_000
_NEVER_NS = 1 << 62
_LEARNING_WINDOWS = 8
_LEARNING_NS = 50_000_000
_SMOOTHING = 0.3
_WALK_SHARE = 8  # a walk expected to take more than this part of an allowance is left to chance


class LookupMeasurement:
    """Windows on the target's lookups, within a budget."""

    def __init__(
        self,
        programs: UprobePrograms,
        planner: ProbePlanner,
        plan: ProbePlan,
        pid: int,
        calibration: Calibration,
        governor: Governor,
        is_code: Callable[[int], bool],
        cpu_clock: ProcessClock,
    ) -> None:
        self._programs = programs
        self._module = programs.module
        self._plan = plan
        self._pid = pid
        self._calibration = calibration
        self._governor = governor
        self.is_code = is_code
        self.memory = TargetMemory(pid)
        self.cache = StringCache(self.memory, is_code)
        self._discovery = Discovery(self._module, planner, self.memory, is_code)
        self._stops = self._module.ring_buffer("window_stops")
        self._priority = RealtimePriority()
        self._attached: tuple[PlannedProbe, ...] = ()
        self._number = 0
        self._kind = WindowKind.MEASURE
        self._is_overhead_dominated = True  # until it is known
        self._kinds = WindowKinds(time.monotonic_ns())
        self._is_contended = False
        self._grant: Grant | None = None
        self._begin: WindowSnapshot | None = None
        self._charged: WindowSnapshot | None = None
        self._counters = LookupCounters(self._module)
        self._counts = GroupCounts(self._module, self.cache.note)
        self._traversal_frames = TraversalFrames(
            self._module, plan.exhausted_sites and not plan.verify
        )
        self._predicts = False  # in the open window
        self._threads = ThreadStates(self._module)
        self._snapshots = WindowSnapshots(programs, cpu_clock)
        self._program_ns = {WindowKind.MEASURE: PROGRAM_NS, WindowKind.COUNT: ENTRY_COUNT_NS}
        self.windows = KeptWindows()
        self.gone = False
        self.problem: str | None = None  # why no window could be opened; then none is tried again
        self._cpu_clock = cpu_clock
        self.cpu_begin_ns = self.cpu_end_ns = cpu_clock.read_ns()
        self._control(0, 0, 0)

    # -- what the recorder calls --------------------------------------------------------------

    @property
    def wake_descriptor(self) -> int:
        """Becomes readable when a window has to be closed: call step() then."""
        return self._module.map("window_stops").descriptor

    @property
    def is_brief(self) -> bool:
        """Return whether a window is open that will soon have to be closed: do nothing slow now."""
        return self._grant is not None and self._is_overhead_dominated

    def step(self, now_ns: int) -> int:
        """Open or close the window if it is time; return when to call again, CLOCK_MONOTONIC."""
        self._stops.drain()
        if self.problem is not None:
            return now_ns + _NEVER_NS
        if self._grant is None:
            return self._step_closed(now_ns)
        if self._snapshots.state().closed_ns is None and time.monotonic_ns() < self._grant.until_ns:
            return self._grant.until_ns
        self._end_window()
        return self._grant.until_ns if self._grant else now_ns

    def _step_closed(self, now_ns: int) -> int:
        """Go on with what can be done while no window is open."""
        grant = self._governor.grant(now_ns, is_open=False)
        if grant is not None:
            self._open(grant)
            return self._grant.until_ns if self._grant else now_ns
        return now_ns + max(self._governor.wait_ns(now_ns), 1_000_000)

    def finish(self) -> None:
        """Close the window and take all probes away."""
        if self._grant is not None:
            self._close()
        self._programs.detach()
        self.cpu_end_ns = self._cpu_clock.read_ns()

    def abort(self) -> None:
        """Take all probes away without waiting for lookups in flight."""
        self._control(0, 0, 0)
        self._programs.detach()
        self._priority.end()

    def probes(self) -> tuple[PlannedProbe, ...]:
        """Return every probe that was placed at least once."""
        return self._attached

    def counters(self) -> dict[LookupCounter, int]:
        """Return where all entries of lookups went."""
        return self._counters.read()

    def groups(self) -> dict[GroupKey, Group]:
        """Return the sums of all groups."""
        return self._counts.groups()

    def entries(self, name: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values of one of the programs' maps."""
        return self._module.map(name).items()

    # -- one window ---------------------------------------------------------------------------

    def _next_kind(self) -> WindowKind:
        """Count in some windows, if measuring slows lookups down."""
        if self._governor.is_limited:
            return self._kinds.next(self._number, time.monotonic_ns(), self._is_overhead_dominated)
        return WindowKind.MEASURE

    def _wanted(self) -> tuple[PlannedProbe, ...]:
        if self._kind is WindowKind.COUNT:
            last_entry = Place.WEAKPROXY_FIND
            return tuple(p for p in self._plan.probes if place_of(p.point.cookie) <= last_entry)
        probes = (*self._plan.probes, *self._discovery.comparisons.values())
        if not self._predicts:
            return probes
        return tuple(p for p in probes if place_of(p.point.cookie) != Place.TRAVERSAL_FIRST)

    def _open(self, grant: Grant) -> None:
        self._kind = self._next_kind()
        self._predicts = self._kind is WindowKind.MEASURE and self._traversal_frames.suffice_in(
            self.windows.seen
        )
        wanted = self._wanted()
        places = [
            replace(p.point, is_busy=self._is_contended and self._counts.is_busy(p)) for p in wanted
        ]
        if self._threads.are_scarce:
            self._threads.clear()
        self._snapshots.reset()
        self._control(0, 0, 0)
        self._charged = self._snapshots.read()
        if self._is_overhead_dominated:
            self._priority.begin()
        try:
            self._programs.attach(places, self._pid, self._kind is WindowKind.COUNT)
        except OSError as error:
            self.gone = isinstance(error, ProcessLookupError)
            self.problem = None if self.gone else f"probes could not be placed: {error.strerror}"
            self._priority.end()
            return
        if self._kind is WindowKind.MEASURE:
            self._attached += tuple(probe for probe in wanted if probe not in self._attached)
            self._discovery.placed()
        self._number += 1
        # What was granted counts from before the probes were placed.
        if self._kind is WindowKind.COUNT:
            grant = replace(grant, until_ns=grant.until_ns + _COUNT_LONGER_NS)
        self._grant = grant = self._while_learning(grant)
        self._control(self._number, grant.until_ns + _LATEST_NS, grant.allowance_ns)
        self._begin = self._read_snapshot()

    def _read_snapshot(self) -> WindowSnapshot:
        """Take a snapshot to the moment; threads of the target must not keep us waiting."""
        self._priority.begin()
        snapshot = self._snapshots.read(exactly=True)
        if not self._is_overhead_dominated:
            self._priority.end()
        return snapshot

    def _end_window(self) -> None:
        assert self._grant is not None
        if not self._may_go_on() or self._discovery.look():
            self._close()
            return
        end = self._snapshots.read(exactly=self._is_overhead_dominated)
        self._charge(end, closed=False)
        if not self._is_overhead_dominated:
            self._priority.end()
        self._begin = end
        grant = self._governor.grant(end.time_ns, is_open=True)
        if grant is None:
            self._close()
            return
        grant = self._while_learning(grant)
        self._grant = grant
        allowance = end.state.spent_ns + grant.allowance_ns
        self._control(self._number, grant.until_ns + _LATEST_NS, allowance)

    def _may_go_on(self) -> bool:
        """Return whether the open window's probes would be placed again as they are."""
        return (
            self._kind is WindowKind.MEASURE
            and self._snapshots.state().closed_ns is None
            and self._predicts == self._traversal_frames.suffice_in(self.windows.seen + 1)
            and not self._threads.are_scarce
        )

    def _while_learning(self, grant: Grant) -> Grant:
        """Keep the first windows short: what containers there are is only learned between two."""
        if self.windows.seen >= _LEARNING_WINDOWS:
            return grant
        return Grant(min(grant.until_ns, time.monotonic_ns() + _LEARNING_NS), grant.allowance_ns)

    def _close(self) -> None:
        """End the window, wait for the lookups in flight, and take the probes away."""
        end = self._read_snapshot()
        self._control(self._number if self._kind is WindowKind.MEASURE else 0, 0, 0)
        if self._kind is WindowKind.MEASURE:
            self._await_flights(end)
        self._control(0, 0, 0)
        self._programs.detach()
        self._priority.end()
        self._counters.add_unfinished(self._snapshots.state().in_flight)
        self._discovery.look()
        self._charge(end, closed=True)
        self._grant = None

    def _await_flights(self, end: WindowSnapshot) -> None:
        """Wait until admitted lookups have returned, while the budget bears what others pay."""
        assert self._grant is not None
        most_ns = end.state.spent_ns + max(self._grant.allowance_ns, LATE_NS)
        while (state := self._snapshots.state()).in_flight and state.spent_ns < most_ns:
            if time.monotonic_ns() - end.time_ns > GRACE_NS:
                return
            time.sleep(0.0002)

    def _charge(self, end: WindowSnapshot, closed: bool) -> None:
        """Note what a window saw, and charge all that was spent since the last one."""
        assert self._grant is not None and self._begin is not None and self._charged is not None
        begin = self._begin
        in_window = begin.cost_ns(end)
        last = self._snapshots.read() if closed else end
        cost = self._charged.cost_ns(last) + (PLACING_NS if closed else 0)
        self._governor.charge_window(cost, self._grant.allowance_ns, closed)
        self._is_contended |= cost > self._grant.allowance_ns + _CONTENDED_NS
        self._learn_program_time(begin, end)
        self._charged = last
        admitted = end.state.admitted - begin.state.admitted
        is_counting = self._kind is WindowKind.COUNT
        window = MeasuredWindow(
            window=ProbeWindow(begin.time_ns, end.time_ns, admitted, round(cost)),
            groups=self._counts.entry_counts() if is_counting else self._counts.measured(),
            is_counting=is_counting,
            cpu_begin_ns=begin.cpu_ns,
            cpu_end_ns=end.cpu_ns,
            cpu_ns=end.cpu_ns - begin.cpu_ns,
            cost_ns=round(in_window),
            admitted=admitted,
            refused=end.state.refused - begin.state.refused,
            entry_count=end.state.entry_count - begin.state.entry_count,
        )
        self.windows.add(window)
        if is_counting:
            return
        walks_ns = end.state.walk_ns - begin.state.walk_ns
        was_put_off = end.state.put_off > begin.state.put_off
        self._governor.saves = was_put_off or walks_ns > _LONG_WALKS_NS
        if admitted:
            self._is_overhead_dominated = window.is_overhead_dominated
        self._kinds.measured(admitted, self._counts.lookups_ns, window.cpu_ns)
        self._traversal_frames.learn(self._counts.entries(), self._counts.verdicts, self._predicts)

    def _learn_program_time(self, begin: WindowSnapshot, end: WindowSnapshot) -> None:
        runs = end.run_count - begin.run_count
        if runs < 20:
            return
        walks = end.state.walk_ns - begin.state.walk_ns
        mean = max(end.run_time_ns - begin.run_time_ns - walks, 0) / runs
        known = self._program_ns[self._kind]
        self._program_ns[self._kind] = round(known + _SMOOTHING * (mean - known))

    # -- the maps -----------------------------------------------------------------------------

    def _control(self, window: int, until_ns: int, allowance_ns: int) -> None:
        granted = self._grant.allowance_ns if self._grant else allowance_ns
        control = Control(
            window,
            until_ns,
            allowance_ns,
            max(granted // _WALK_SHARE, NODE_NS),
            self._calibration.trap_ns,
            self._calibration.stepped_trap_ns,
            self._calibration.return_trap_ns,
            self._program_ns[self._kind],
            NODE_NS,
            STACK_NS,
            FEW_STACKS_SHARE if self._is_overhead_dominated else STACK_SHARE,
            FEW_RETURNS_SHARE if self._is_overhead_dominated else 1,
            self._predicts,
        )
        self._module.map("control").set(_ZERO, control.encode())
