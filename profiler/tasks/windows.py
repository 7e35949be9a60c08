"""Opens and closes the windows in which tasks are seen, within a share of the budget.

As long as tasks are few, one window lasts as long as the recording. Where they are many, it is
closed when its allowance is spent, and opened again at a random moment. What was pushed or begun in
it is followed to its end; the probes stay until then, or until that costs as much again.
"""

from __future__ import annotations

import time

from profiler.model.observed import Calibration
from profiler.model.quantities import Window
from profiler.process.target import TargetProcess
from profiler.tasks.programs import TaskPrograms
from profiler.tasks.seen_tasks import SeenTasks
from profiler.windows.bounded_windows import bounded
from profiler.windows.budget import Governor, Grant
from profiler.windows.costs import PLACING_NS
from profiler.windows.window_budget import WindowBudget

SHARE = 0.25  # of what flows for lookups; it is paid beside that
_PROGRAM_NS = 700  # one run of a program; only plans depend on it
_FOLLOWED_NS = 2_000_000_000
_LOOK_NS = 100_000_000  # events are fetched this often
_PAUSE_NS = 5_000_000
_NEVER_NS = 1 << 62


class TaskWindows:
    """The windows of one run."""

    def __init__(
        self,
        programs: TaskPrograms,
        target: TargetProcess,
        governor: Governor,
        calibration: Calibration,
        seen: SeenTasks,
    ) -> None:
        self._programs = programs
        self._pid = target.pid
        self._budget = WindowBudget(
            governor, governor.share(SHARE), is_beside=True, placing_ns=PLACING_NS
        )
        self._trap_ns = calibration.trap_ns
        self._seen = seen
        self._begin_ns: int | None = None  # of the open window
        self._closed_ns: int | None = None  # of one whose tasks are still followed
        self._allowance_ns = 0  # up to which `spent_ns` may grow
        self.windows: list[Window] = []
        self.covered_ns = 0
        self.problem: str | None = None  # why nothing more is seen

    @property
    def is_open(self) -> bool:
        """Return whether a window is open."""
        return self._begin_ns is not None

    @property
    def cost_ns(self) -> int:
        """Return what was charged so far."""
        return round(self._budget.charged_ns)

    def step(self, now_ns: int) -> int:
        """Do what is due; return when to call again, CLOCK_MONOTONIC."""
        if self.problem is not None:
            return _NEVER_NS
        if self._closed_ns is not None:
            return self._follow(now_ns, self._closed_ns)
        if self._begin_ns is None:
            return self._open(now_ns)
        if self._programs.state().used_up_ns == self._allowance_ns:
            self._close()
            return now_ns
        self._seen.note(self._programs.events())
        if now_ns >= self._budget.grant.until_ns:
            self._charge(closed=False)
            grant = self._budget.go_on(now_ns)
            if grant is None:
                self._close()
                return now_ns
            self._allow(grant)
        return min(self._budget.grant.until_ns, now_ns + _LOOK_NS)

    def finish(self) -> None:
        """Close the window, follow its tasks for a while, and take the probes away."""
        if self._begin_ns is not None:
            self._close()
        while self._closed_ns is not None:
            until_ns = self._follow(time.monotonic_ns(), self._closed_ns)
            time.sleep(max(until_ns - time.monotonic_ns(), 0) / 1e9)

    def abort(self) -> None:
        """Take the probes away."""
        self._programs.control(0, 0, 0)
        self._programs.detach()

    def _open(self, now_ns: int) -> int:
        grant = self._budget.open(now_ns)
        if grant is None:
            return self._budget.next_ns(now_ns)
        try:
            self._programs.attach(self._pid)
        except OSError as error:
            if not isinstance(error, ProcessLookupError):
                self.problem = f"tasks are not seen: {error.strerror}"
            return now_ns + _LOOK_NS
        self._begin_ns = time.monotonic_ns()
        self._seen.open(self._begin_ns)
        self._allow(grant)
        return min(grant.until_ns, now_ns + _LOOK_NS)

    def _allow(self, grant: Grant) -> None:
        self._allowance_ns = self._programs.state().spent_ns + grant.allowance_ns
        self._programs.control(_NEVER_NS, self._allowance_ns, self._event_ns)

    def _close(self) -> None:
        """Admit nothing any more; the probes stay for what is under way."""
        assert self._begin_ns is not None
        state = self._programs.state()
        now_ns = time.monotonic_ns()
        # Pushes were refused from the moment on at which the allowance was spent.
        end_ns = state.stopped_ns if state.used_up_ns == self._allowance_ns else now_ns
        follow_ns = self._budget.grant.allowance_ns
        self._programs.control(0, state.spent_ns + follow_ns, self._event_ns)
        self._seen.close(end_ns)
        self._seen.note(self._programs.events())
        self._keep(Window(self._begin_ns, end_ns))
        self._closed_ns = now_ns
        self._begin_ns = None

    @property
    def _event_ns(self) -> int:
        return self._trap_ns + _PROGRAM_NS

    def _follow(self, now_ns: int, closed_ns: int) -> int:
        self._seen.note(self._programs.events())
        is_over = now_ns - closed_ns > _FOLLOWED_NS or not self._seen.in_flight
        state = self._programs.state()
        if not is_over and state.spent_ns < self._allowance_ns + self._budget.grant.allowance_ns:
            return now_ns + _PAUSE_NS
        self._programs.detach()
        self._seen.note(self._programs.events())
        self._seen.end(time.monotonic_ns())
        self._charge(closed=True)
        self._closed_ns = None
        return now_ns

    def _charge(self, closed: bool) -> None:
        """Charge what was taken since the last time."""
        taken_ns = self._programs.state().events * self._trap_ns + self._programs.run_time_ns()
        self._budget.charge(taken_ns, time.monotonic_ns(), closed)

    def _keep(self, window: Window) -> None:
        self.covered_ns += window.duration_ns
        self.windows = bounded([*self.windows, window])
