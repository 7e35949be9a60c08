"""Opens and closes the windows in which links are counted, within a share of the budget.

None is open before a container was seen to grow to the end: who has none pays nothing.
"""

from __future__ import annotations

import time
from collections.abc import Set

from profiler.links.programs import LinkPrograms
from profiler.model.observed import Calibration
from profiler.process.target import TargetProcess
from profiler.windows.budget import Governor, Grant
from profiler.windows.costs import PLACING_NS
from profiler.windows.window_budget import WindowBudget

SHARE = 0.1  # of what flows for lookups; it is paid beside that
MAX_CONTAINERS = 64  # as many as the map in links.bpf.c holds
# One run of the program, and the unwinding of one stack; only plans depend on it.
_PROGRAM_NS, _UNWIND_NS = 400, 8_000
_LOOK_NS = 100_000_000
_NEVER_NS = 1 << 62


class LinkWindows:
    """The windows of one run."""

    def __init__(
        self,
        programs: LinkPrograms,
        target: TargetProcess,
        governor: Governor,
        calibration: Calibration,
    ) -> None:
        self._programs = programs
        self._pid = target.pid
        self._budget = WindowBudget(
            governor, governor.share(SHARE), is_beside=True, placing_ns=PLACING_NS
        )
        self._trap_ns = calibration.trap_ns
        self._watched: set[int] = set()
        self._begin_ns: int | None = None
        self._allowance_ns = 0
        self.covered_ns = 0
        self.problem: str | None = None  # why nothing more is counted

    @property
    def is_open(self) -> bool:
        """Return whether the probe is in place."""
        return self._begin_ns is not None

    def watch(self, containers: Set[int]) -> None:
        """Count links into these containers from now on."""
        room = MAX_CONTAINERS - len(self._watched)
        added = set(sorted(containers - self._watched)[:room])
        self._programs.watch(added)
        self._watched |= added

    def step(self, now_ns: int) -> int:
        """Open or close the window if it is time; return when to call again, CLOCK_MONOTONIC."""
        if not self._watched or self.problem is not None:
            return _NEVER_NS
        if self._begin_ns is None:
            return self._open(now_ns)
        is_used_up = self._programs.state().used_up_ns == self._allowance_ns
        if not is_used_up and now_ns < self._budget.grant.until_ns:
            return self._budget.grant.until_ns
        self._charge(closed=False)
        grant = None if is_used_up else self._budget.go_on(now_ns)
        if grant is None:
            self.close()
            return now_ns
        self._allow(grant)
        return grant.until_ns

    def close(self) -> None:
        """Count no more, and take the probe away."""
        if self._begin_ns is None:
            return
        self.covered_ns += time.monotonic_ns() - self._begin_ns
        self.abort()
        self._charge(closed=True)
        self._begin_ns = None

    def abort(self) -> None:
        """Take the probe away."""
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
                self.problem = f"who links into containers is not seen: {error.strerror}"
            return now_ns + _LOOK_NS
        self._begin_ns = time.monotonic_ns()
        self._allow(grant)
        return grant.until_ns

    def _allow(self, grant: Grant) -> None:
        self._allowance_ns = self._programs.state().spent_ns + grant.allowance_ns
        self._programs.control(self._allowance_ns, self._trap_ns + _PROGRAM_NS, _UNWIND_NS)

    def _charge(self, closed: bool) -> None:
        """Charge what was taken since the last time."""
        taken_ns = self._programs.state().events * self._trap_ns + self._programs.run_time_ns()
        self._budget.charge(taken_ns, time.monotonic_ns(), closed)
