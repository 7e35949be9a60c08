"""Stretches in which followed objects are watched, as long as the budget bears it.

Two kinds: in one every birth and every change of references is seen, in the other only the ends of
objects. Each opens when there is enough of its budget, and is closed when its allowance is spent.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Sequence

from profiler.leaks.plan import ObjectProbe
from profiler.leaks.programs import ObjectPrograms
from profiler.linux.realtime import RealtimePriority
from profiler.model.leaks import WatchWindow
from profiler.model.observed import Calibration
from profiler.process.target import TargetProcess
from profiler.windows.budget import Governor, Grant
from profiler.windows.costs import PLACING_NS
from profiler.windows.window_budget import WindowBudget
from profiler.wire.leaks import ObjectControl, ObjectState, ObjectWatch

_PROGRAM_NS = 250  # one run of a program; only plans depend on it
_STACK_SHARE = 32
_BLOCKED_NS = 50_000_000
_YOUNG_NS = 50_000_000
_NO_LIMIT_NS = 1 << 62


class Stretch:
    """One kind of stretch, which is open or not."""

    def __init__(
        self,
        watch: ObjectWatch,
        programs: ObjectPrograms,
        probes: Sequence[ObjectProbe],
        target: TargetProcess,
        calibration: Calibration,
        governor: Governor,
        limit: Governor,
        priority: RealtimePriority,
    ) -> None:
        """`limit`: what grants; its costs are charged to `governor` too where that is another."""
        self._watch = watch
        self._programs = programs
        self._probes = probes
        self._pid = target.pid
        self._calibration = calibration
        self._limit = limit
        self._budget = WindowBudget(governor, limit, placing_ns=PLACING_NS)
        self._priority = priority
        self._key = struct.pack("<I", watch)
        self._allowance_ns = 0  # up to which `spent_ns` may grow
        self._opened_ns: int | None = None
        self.since_ns = 0  # when it was opened for the last time
        self._opened_cost_ns = 0.0
        self.round = 1  # objects of each type are chosen anew in each
        self.birth_quota = 0
        self.max_changes = 0  # of one object; the programs count more as lost
        self.least_level_ns = 0.0  # of the limit, for it to open
        self.birth_level_ns = 0.0  # of the limit, for objects to be chosen
        self.windows: list[WatchWindow] = []
        self.before_close: Callable[[], None] = lambda: None
        self.after_open: Callable[[], None] = lambda: None

    @property
    def is_open(self) -> bool:
        """Return whether its probes are in place."""
        return self._opened_ns is not None

    def is_young(self, now_ns: int) -> bool:
        """Return whether it was just opened: where events are many, it will be closed soon."""
        return self._opened_ns is not None and now_ns < self._opened_ns + _YOUNG_NS

    def state(self) -> ObjectState:
        """Return what the programs counted so far."""
        value = self._programs.module.map("object_state").get(self._key)
        return ObjectState.decode(value) if value else ObjectState()

    def step(self, now_ns: int, may_open: bool = True) -> int:
        """Open, go on or close if it is time; return when to call again. Raises OSError."""
        if not self._probes:
            return now_ns + _NO_LIMIT_NS
        if self._opened_ns is None:
            return self._open(now_ns) if may_open else now_ns + _BLOCKED_NS
        is_used_up = self.state().used_up_ns == self._allowance_ns
        if not is_used_up and now_ns < self._budget.grant.until_ns:
            return self._next_ns(now_ns)
        self._charge(closed=False)
        grant = None if is_used_up else self._budget.go_on(now_ns)
        if grant is None:
            self.close()
            return now_ns
        self._allow(grant)
        return self._next_ns(now_ns)

    def close(self) -> None:
        """Watch no more, and take the probes away."""
        if self._opened_ns is None:
            return
        with self._priority.during():
            self.before_close()
            end_ns = time.monotonic_ns()  # from here on something may be missed
            self._set(is_open=False)
            self._programs.detach(self._watch)
        self._charge(closed=True)
        cost_ns = round(self._budget.charged_ns - self._opened_cost_ns)
        self.windows.append(WatchWindow(self._opened_ns, end_ns, cost_ns))
        self._opened_ns = None

    def abort(self) -> None:
        """Take the probes away."""
        self._programs.detach(self._watch)

    def _open(self, now_ns: int) -> int:
        has_room = self._limit.level_ns(now_ns) >= self.least_level_ns
        grant = self._budget.open(now_ns) if has_room else None
        if grant is None:
            return self._budget.next_ns(now_ns)
        self._opened_cost_ns = self._budget.charged_ns
        self._priority.begin()  # who calls step() ends it
        # Nobody is born before all that happens to him is seen.
        self._programs.attach(self._watch, self._probes, self._pid)
        self._opened_ns = self.since_ns = time.monotonic_ns()
        self._allow(grant)
        self.after_open()
        return self._next_ns(now_ns)

    def _next_ns(self, now_ns: int) -> int:
        until_ns = self._budget.grant.until_ns
        if self._opened_ns is not None and self.is_young(now_ns):
            until_ns = min(until_ns, self._opened_ns + _YOUNG_NS)
        return until_ns

    def _allow(self, grant: Grant) -> None:
        self._allowance_ns = self.state().spent_ns + grant.allowance_ns
        self._set(is_open=True)

    def _set(self, is_open: bool) -> None:
        spare_ns = self._limit.level_ns(time.monotonic_ns()) - self.birth_level_ns
        birth_ns = self.state().spent_ns + spare_ns if spare_ns > 0 else 0
        control = ObjectControl(
            window=self.round if is_open else 0,
            allowance_ns=self._allowance_ns,
            birth_allowance_ns=round(min(birth_ns, _NO_LIMIT_NS)),
            trap_ns=self._calibration.trap_ns,
            stepped_trap_ns=self._calibration.stepped_trap_ns,
            return_trap_ns=self._calibration.return_trap_ns,
            program_ns=_PROGRAM_NS,
            birth_quota=self.birth_quota,
            stack_share=_STACK_SHARE,
            max_changes=self.max_changes,
        )
        self._programs.module.map("object_control").set(self._key, control.encode())

    def _charge(self, closed: bool) -> None:
        """Charge what was taken since the last time."""
        taken_ns = self.state().trap_ns + self._programs.run_time_ns(self._watch)
        self._budget.charge(taken_ns, time.monotonic_ns(), closed)
