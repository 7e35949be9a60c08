"""Measures lookups in the target: opens and closes the probes, and reads what they counted.

Owner of the maps of bpf/lookups.bpf.c. A window admits lookups for a while; one that was admitted
is followed to its return, however long it takes, before the probes are taken away. So a lookup's
chance of being measured does not depend on how long it takes. How many lookups there are is counted
apart from that: see entry_counter.py.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

from profiler.counting.container_watch import ContainerWatch
from profiler.counting.discovery import Discovery
from profiler.counting.entry_counter import EntryCounter
from profiler.counting.group_counts import GroupCounts
from profiler.counting.lookup_counters import LookupCounters
from profiler.counting.string_cache import StringCache
from profiler.counting.thread_states import ThreadStates
from profiler.counting.traversal_frames import TraversalFrames
from profiler.counting.window_planner import WindowPlanner
from profiler.counting.window_probes import WindowProbes
from profiler.linux.realtime import RealtimePriority
from profiler.model.observed import Calibration, MeasuredWindow
from profiler.probes.attach import AttachPoint, UprobePrograms
from profiler.probes.planner import ProbePlan, ProbePlanner
from profiler.process.target import TargetProcess
from profiler.windows.budget import LATE_NS, Governor, Grant
from profiler.windows.control import WindowControl
from profiler.windows.costs import WindowCosts
from profiler.windows.kept_windows import KeptWindows
from profiler.windows.open_window import OpenWindow
from profiler.windows.snapshots import WindowSnapshot, WindowSnapshots
from profiler.wire.lookups import Group, GroupKey, LookupCounter, Place, Verdict, place_of

_GRACE_NS = 2_000_000_000  # a lookup that takes longer than this after its window is given up
# Walks that took longer than this in one window need all that can be saved for the next one.
_LONG_WALKS_NS = 1_500_000
_NEVER_NS = 1 << 62
_LEARNING_WINDOWS = 8  # how many are short
# So many go before all others. Fewer may have seen only chains that do not matter.
_FIRST_WINDOWS = 4
_LEARNING_NS = 50_000_000
_LEAST_PAUSE_NS = 1_000_000


class LookupMeasurement:
    """Windows on the target's lookups, within a budget."""

    def __init__(
        self,
        programs: UprobePrograms,
        planner: ProbePlanner,
        plan: ProbePlan,
        target: TargetProcess,
        calibration: Calibration,
        governor: Governor,
    ) -> None:
        self._module = module = programs.module
        self._governor = governor
        governor.learns = True
        self._clock = target.clock
        self._stops = module.ring_buffer("window_stops")
        self._priority = RealtimePriority()
        self.cache = StringCache(target)
        self.containers = ContainerWatch(target)
        self._counts = GroupCounts(module, self._note_groups)
        self._counters = LookupCounters(module)
        self._threads = ThreadStates(module)
        self._discovery = Discovery(module, planner, target)
        self.probes = WindowProbes(programs, plan, target.pid, self._discovery, self._counts)
        self._snapshots = WindowSnapshots(programs, target.clock)
        self._control = WindowControl(module, calibration)
        self._costs = WindowCosts(self._snapshots, governor)
        frames = TraversalFrames(module, plan.exhausted_sites and not plan.verify)
        self._planner = WindowPlanner(frames)
        self.counter = EntryCounter(
            programs, _entry_points(plan), target, self._counts, governor, self._priority
        )
        self._open: OpenWindow | None = None
        self._number = 0
        self.windows: KeptWindows[MeasuredWindow] = KeptWindows()
        self.admitted = 0  # lookups, in all windows
        self.gone = False
        self.problem: str | None = None  # why no window could be opened; then none is tried again
        self.cpu_begin_ns = self.cpu_end_ns = target.clock.read_ns()

    # -- what the recorder calls --------------------------------------------------------------

    @property
    def wake_descriptor(self) -> int:
        """Becomes readable when a window has to be closed: call step() then."""
        return self._module.map("window_stops").descriptor

    @property
    def verified(self) -> int:
        """Lookups that were counted exactly, in all windows that were noted."""
        return self._counts.verdicts[Verdict.VERIFIED]

    @property
    def comparisons(self) -> int:
        """What these compared."""
        return self._counts.comparisons

    @property
    def lacks_room(self) -> bool:
        """Return whether there were more kinds of containers, or functions, than can be known."""
        return self._discovery.lacks_room

    @property
    def is_brief(self) -> bool:
        """Return whether a window is open that will soon have to be closed: do nothing slow now."""
        return self._open is not None and self._planner.is_overhead_dominated

    def step(self, now_ns: int) -> int:
        """Open or close the window if it is time; return when to call again, CLOCK_MONOTONIC."""
        self._stops.drain()
        if self.problem is not None:
            return now_ns + _NEVER_NS
        next_ns = self._step_window(now_ns)
        if self.gone or self.problem is not None:
            return next_ns
        try:
            counted_ns = self.counter.step(time.monotonic_ns(), may_open=self._may_count())
        except OSError as error:
            self._note_refusal(error)
            self._give_up()
            return now_ns
        return min(next_ns, counted_ns)

    def _give_up(self) -> None:
        """Leave no probe in place that nobody looks after."""
        self._control.close()
        self._open = None
        self.probes.remove()
        self.counter.close()
        self._priority.end()
        self._governor.give_up()

    def _may_count(self) -> bool:
        """Return whether no window is open that slows lookups down."""
        is_slowing = self._planner.is_overhead_dominated and self.admitted
        return self._open is None or not is_slowing

    def _step_window(self, now_ns: int) -> int:
        """Do the same for the windows that measure alone."""
        if self._open is None:
            grant = self._governor.grant(now_ns, is_open=False)
            if grant is None:
                self._governor.claim()
                return now_ns + max(self._governor.wait_ns(now_ns), _LEAST_PAUSE_NS)
            self._open = self._begin(grant)
        elif self._is_over(self._open):
            self._open = self._go_on(self._open)
        return self._open.grant.until_ns if self._open else now_ns

    def finish(self) -> None:
        """Close the window and take all probes away."""
        if self._open is not None:
            self._close(self._open)
            self._open = None
        self.counter.close()
        self.probes.remove()
        self.cpu_end_ns = self._clock.read_ns()

    def abort(self) -> None:
        """Take all probes away without waiting for lookups in flight."""
        self._control.close()
        self.counter.abort()
        self.probes.remove()
        self._priority.end()

    def counters(self) -> dict[LookupCounter, int]:
        """Return where all entries of lookups went."""
        return self._counters.read()

    def groups(self) -> dict[GroupKey, Group]:
        """Return the sums of all groups."""
        return self._counts.groups()

    def entries(self, name: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values of one of the programs' maps."""
        return self._module.map(name).items()

    def _note_groups(self, keys: Sequence[GroupKey]) -> None:
        for key in keys:
            self.cache.note(key)
        self.containers.note(keys)

    # -- one window ---------------------------------------------------------------------------

    def _begin(self, grant: Grant) -> OpenWindow | None:
        """Place the probes and admit lookups; None if that is refused."""
        predicts = self._planner.predicts(self.windows.seen)
        if self._threads.are_scarce:
            self._threads.clear()
        self._snapshots.reset()
        self._control.close()
        self.counter.mark()
        begin = self._costs.begin()
        if self._planner.is_overhead_dominated:
            self._priority.begin()
        try:
            self.probes.place(predicts, self._costs.is_contended)
        except OSError as error:
            self._note_refusal(error)
            self._give_up()
            return None
        self._number += 1
        # What was granted counts from before the probes were placed.
        window = OpenWindow(self._number, predicts, self._while_learning(grant), begin)
        self._control.admit(window, self._planner.is_overhead_dominated)
        return replace(window, begin=self._read_exactly())

    def _note_refusal(self, error: OSError) -> None:
        self.gone = isinstance(error, ProcessLookupError)
        self.problem = None if self.gone else f"probes could not be placed: {error.strerror}"

    def _read_exactly(self) -> WindowSnapshot:
        """Take a snapshot to the moment; threads of the target must not keep us waiting."""
        self._priority.begin()
        snapshot = self._snapshots.read(exactly=True)
        if not self._planner.is_overhead_dominated:
            self._priority.end()
        return snapshot

    def _is_over(self, window: OpenWindow) -> bool:
        has_time = time.monotonic_ns() < window.grant.until_ns
        return self._snapshots.state().closed_ns is not None or not has_time

    def _go_on(self, window: OpenWindow) -> OpenWindow | None:
        """Note what a window saw, and leave its probes where they are if that is granted."""
        if not self._may_go_on(window) or self._discovery.look():
            self._close(window)
            return None
        end = self._snapshots.read(exactly=self._planner.is_overhead_dominated)
        self._note(window, end, closed=False)
        if not self._planner.is_overhead_dominated:
            self._priority.end()
        window = replace(window, begin=end)
        grant = self._governor.grant(end.time_ns, is_open=True)
        if grant is None:
            self._close(window)
            return None
        window = replace(window, grant=self._while_learning(grant))
        self._control.admit(window, self._planner.is_overhead_dominated)
        return window

    def _may_go_on(self, window: OpenWindow) -> bool:
        """Return whether the open window's probes would be placed again as they are."""
        return (
            self._snapshots.state().closed_ns is None
            and window.predicts == self._planner.predicts(self.windows.seen + 1)
            and not self._threads.are_scarce
        )

    def _while_learning(self, grant: Grant) -> Grant:
        """Keep the first windows short: what containers there are is only learned between two."""
        if self.windows.seen >= _LEARNING_WINDOWS:
            return grant
        return Grant(min(grant.until_ns, time.monotonic_ns() + _LEARNING_NS), grant.allowance_ns)

    def _close(self, window: OpenWindow) -> None:
        """End the window, wait for the lookups in flight, and take the probes away."""
        end = self._read_exactly()
        self._control.follow()
        self._await_flights(window, end)
        self._control.close()
        self.probes.remove()
        self._priority.end()
        self._counters.add_unfinished(self._snapshots.state().in_flight)
        self._discovery.look()
        self._note(window, end, closed=True)
        self.counter.mark()

    def _await_flights(self, window: OpenWindow, end: WindowSnapshot) -> None:
        """Wait until admitted lookups have returned, while the budget bears what others pay."""
        most_ns = end.state.spent_ns + max(window.grant.allowance_ns, LATE_NS)
        while (state := self._snapshots.state()).in_flight and state.spent_ns < most_ns:
            if time.monotonic_ns() - end.time_ns > _GRACE_NS:
                return
            time.sleep(0.0002)

    def _note(self, window: OpenWindow, end: WindowSnapshot, closed: bool) -> None:
        """Keep what a window saw, charge all that was spent since the last one, and learn."""
        cost_ns = self._costs.charge(window, end, closed)
        self._control.learn_program_time(window, end)
        measured = window.measured(end, self._counts.measured(), cost_ns)
        self.windows.add(measured)
        self.admitted += measured.admitted
        self._planner.learn(measured, self._counts, window.predicts)
        begin = window.begin.state
        is_long = end.state.walk_ns - begin.walk_ns > _LONG_WALKS_NS
        is_put_off = end.state.put_off > begin.put_off
        self._governor.saves = is_put_off or is_long
        self._governor.learns = self._number < _FIRST_WINDOWS
        if closed:
            self._governor.claim()  # before another kind opens in between


def _entry_points(plan: ProbePlan) -> tuple[AttachPoint, ...]:
    """Return where lookups begin."""
    return tuple(
        replace(probe.point, with_return=False)
        for probe in plan.probes
        if place_of(probe.point.cookie) <= Place.WEAKPROXY_FIND
    )
