"""Measures lookups in the target: opens and closes the probes, and reads what they counted.

Owner of the maps of bpf/lookups.bpf.c. A window admits lookups for a while; one that was admitted
is followed to its return, however long it takes, before the probes are taken away. So a lookup's
chance of being measured does not depend on how long it takes.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator

from profiler.budget import Governor, Grant
from profiler.calibration import Calibration
from profiler.containers import ContainerState, TargetMemory, read_container
from profiler.observed import GroupWindow, MeasuredWindow
from profiler.probes import PlannedProbe, ProbePlan, ProbePlanner
from profiler.recording import ProbeWindow
from profiler.syscalls import PROG_KPROBE
from profiler.uprobes import UprobePrograms
from profiler.wire import (
    Control,
    Group,
    GroupKey,
    LookupCounter,
    WindowState,
    decode_group,
    decode_group_key,
    decode_window_state,
)

_ZERO = struct.pack("<I", 0)
_WINDOW_STATE_BYTES = 48
NODE_NS = 70  # expected cost of one step of a walk; only plans, never results, depend on it
STACK_NS = 8_000
STACK_SHARE = 16
PROGRAM_NS = 350  # a probe's program without walk and stack; until its run time is known
GRACE_NS = 2_000_000_000  # a lookup that takes longer than this after its window is given up
MAX_COMPARISON_PROBES = 64
_SMOOTHING = 0.3
_WALK_SHARE = 8  # a walk expected to take more than this part of an allowance has to draw lots


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
    ) -> None:
        self._programs = programs
        self._module = programs.module
        self._planner = planner
        self._plan = plan
        self._pid = pid
        self._calibration = calibration
        self._governor = governor
        self.is_code = is_code
        self.memory = TargetMemory(pid)
        self._comparisons: dict[int, PlannedProbe] = {}
        self._refused: set[int] = set()
        self._attached: tuple[PlannedProbe, ...] = ()
        self._number = 0
        self._grant: Grant | None = None
        self._opened_ns = 0
        self._attach_ns = 0
        self._totals: dict[GroupKey, int] = {}
        self._program_ns: float = PROGRAM_NS
        self._run = (0, 0)
        self.windows: list[MeasuredWindow] = []
        self.states: dict[int, ContainerState] = {}
        self.gone = False
        self._control(0, 0, 0)

    # -- what the recorder calls --------------------------------------------------------------

    def step(self, now_ns: int) -> int:
        """Open or close the window if it is time; return when to call again, CLOCK_MONOTONIC."""
        if self._grant is None:
            grant = self._governor.grant(now_ns, is_open=False)
            if grant is None:
                return now_ns + 5_000_000
            self._open(grant)
            return time.monotonic_ns() + 200_000
        state = self._state()
        if now_ns < self._grant.until_ns and state.closed_ns is None:
            return min(self._grant.until_ns, now_ns + self._patience_ns(state, now_ns))
        self._end_window(state)
        return time.monotonic_ns()

    def finish(self) -> None:
        """Close the window and take all probes away."""
        if self._grant is not None:
            self._close(time.monotonic_ns())
        self._programs.detach()

    def abort(self) -> None:
        """Take all probes away without waiting for lookups in flight."""
        self._control(0, 0, 0)
        self._programs.detach()

    def probes(self) -> tuple[PlannedProbe, ...]:
        """Return every probe that was placed at least once."""
        return self._attached

    def counters(self) -> dict[LookupCounter, int]:
        """Return where all entries of lookups went."""
        counts = self._module.map("lookup_counters")
        return {
            counter: struct.unpack("<Q", counts.get(struct.pack("<I", counter)) or bytes(8))[0]
            for counter in LookupCounter
        }

    def groups(self) -> dict[GroupKey, Group]:
        """Return the sums of all groups."""
        return {
            decode_group_key(key): decode_group(value)
            for key, value in self._module.map("groups").items()
        }

    def entries(self, name: str) -> Iterator[tuple[bytes, bytes]]:
        """Yield keys and values of one of the programs' maps."""
        return self._module.map(name).items()

    # -- one window ---------------------------------------------------------------------------

    def _open(self, grant: Grant) -> None:
        wanted = (*self._plan.probes, *self._comparisons.values())
        self._attach_ns = time.monotonic_ns()
        self._reset_state()
        self._control(0, 0, 0)
        try:
            self._programs.attach([probe.place for probe in wanted], self._pid)
        except ProcessLookupError:
            self.gone = True
            return
        self._attached = wanted
        trapped = self._module.map("trapped_functions")
        for function in self._comparisons:
            trapped.set(struct.pack("<Q", function), struct.pack("<I", 1))
        self._number += 1
        self._opened_ns = time.monotonic_ns()
        # What was granted counts from before the probes were placed.
        self._grant = Grant(grant.until_ns, max(grant.allowance_ns - self._state().spent_ns, 0))
        self._control(self._number, self._grant.until_ns, self._grant.allowance_ns)

    def _end_window(self, state: WindowState) -> None:
        now = time.monotonic_ns()
        assert self._grant is not None
        if state.closed_ns is None and not self._discover():
            self._settle(now, state)
            grant = self._governor.grant(now, is_open=True)
            if grant is not None:
                self._go_on(grant, now)
                return
            self._detach(now)
            return
        self._close(now)

    def _go_on(self, grant: Grant, now_ns: int) -> None:
        """Start the next window without taking the probes away."""
        self._reset_state(keep_in_flight=True)
        self._grant = grant
        self._opened_ns = now_ns
        self._control(self._number, grant.until_ns, grant.allowance_ns)

    def _close(self, now_ns: int) -> None:
        self._control(self._number, 0, 0)
        state = self._await_flights(now_ns)
        end_ns = state.closed_ns or now_ns
        self._control(0, 0, 0)
        self._programs.detach()
        after = self._state()
        self._count_unfinished(after)
        self._discover()
        self._settle(end_ns, after)
        self._grant = None

    def _detach(self, now_ns: int) -> None:
        self._control(self._number, 0, 0)
        self._await_flights(now_ns)
        self._control(0, 0, 0)
        self._programs.detach()
        self._count_unfinished(self._state())
        self._grant = None

    def _await_flights(self, now_ns: int) -> WindowState:
        """Wait until admitted lookups have returned, but not for ever; return the last state."""
        state = self._state()
        while state.in_flight and time.monotonic_ns() - now_ns < GRACE_NS:
            time.sleep(0.0005)
            state = self._state()
        return state

    def _settle(self, end_ns: int, state: WindowState) -> None:
        """Note what a window saw and cost."""
        assert self._grant is not None
        groups = []
        for key, group in self.groups().items():
            total = sum(group.verdicts)
            new = total - self._totals.get(key, 0)
            if new:
                groups.append(GroupWindow(key, new))
                self._totals[key] = total
        cost = self._cost_ns(state)
        self._governor.settle(cost, self._grant.allowance_ns)
        window = ProbeWindow(self._opened_ns, end_ns, state.admitted, cost)
        self.windows.append(MeasuredWindow(window, state, tuple(groups)))

    def _cost_ns(self, state: WindowState) -> int:
        """What the probes took: traps as calibrated, and the programs' time by the kernel."""
        runs = [
            program.statistics()
            for program in self._module.programs()
            if program.program_type == PROG_KPROBE
        ]
        run_time = sum(run.run_time_ns for run in runs)
        run_count = sum(run.run_count for run in runs)
        time_ns, count = run_time - self._run[0], run_count - self._run[1]
        self._run = (run_time, run_count)
        if count:
            without_walks = max(time_ns - state.nodes * NODE_NS, 0) / count
            self._program_ns += _SMOOTHING * (without_walks - self._program_ns)
        return state.trap_ns + time_ns

    # -- between windows ----------------------------------------------------------------------

    def _discover(self) -> bool:
        """Learn containers and functions that the programs did not know; tell if probes change."""
        for _, value in self._module.map("unknown_v_tables").items():
            self._learn(struct.unpack("<Q", value)[0])
        changed = False
        for key, value in self._module.map("wanted_functions").items():
            for (function,) in (struct.unpack("<Q", key), struct.unpack("<Q", value)):
                changed |= self._want(function)
        return changed

    def _learn(self, container: int) -> None:
        state = read_container(self.memory, container, self.is_code)
        if state is None:
            return
        self.states[container] = state
        v_table = struct.pack("<Q", state.v_table)
        self._module.map("layouts").set(v_table, state.layout.encode())
        self._module.map("unknown_v_tables").delete(v_table)

    def _want(self, function: int) -> bool:
        if function in self._comparisons or function in self._refused:
            return False
        probe = None
        if len(self._comparisons) < MAX_COMPARISON_PROBES:
            probe = self._planner.comparison(function)
        if probe is None:
            self._refused.add(function)
            return False
        self._comparisons[function] = probe
        return True

    # -- the maps -----------------------------------------------------------------------------

    def _state(self) -> WindowState:
        return decode_window_state(
            self._module.map("window_state").get(_ZERO) or bytes(_WINDOW_STATE_BYTES)
        )

    def _reset_state(self, keep_in_flight: bool = False) -> None:
        flights = self._state().in_flight if keep_in_flight else 0
        fresh = struct.pack("<6Q", 0, 0, 0, flights, 0, 0)
        self._module.map("window_state").set(_ZERO, fresh)

    def _control(self, window: int, until_ns: int, allowance_ns: int) -> None:
        control = Control(
            window,
            until_ns,
            allowance_ns,
            max(allowance_ns // _WALK_SHARE, NODE_NS),
            self._calibration.trap_ns,
            self._calibration.stepped_trap_ns,
            self._calibration.return_trap_ns,
            round(self._program_ns),
            NODE_NS,
            STACK_NS,
            STACK_SHARE,
        )
        self._module.map("control").set(_ZERO, control.encode())

    def _patience_ns(self, state: WindowState, now_ns: int) -> int:
        """How long the window can be left alone: half the time in which it may spend the rest."""
        assert self._grant is not None
        open_ns = max(now_ns - self._opened_ns, 1)
        left_ns = self._grant.allowance_ns - state.spent_ns
        if not state.spent_ns:
            return min(200_000 + open_ns, 20_000_000)
        return min(max(left_ns * open_ns // state.spent_ns // 2, 100_000), 20_000_000)

    def _count_unfinished(self, state: WindowState) -> None:
        """Lookups that never returned are lost; their counter is ours once no program runs."""
        if not state.in_flight:
            return
        counters = self._module.map("lookup_counters")
        key = struct.pack("<I", LookupCounter.UNFINISHED)
        (count,) = struct.unpack("<Q", counters.get(key) or bytes(8))
        counters.set(key, struct.pack("<Q", count + state.in_flight))
        self._reset_state()
