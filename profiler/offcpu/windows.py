"""When switches are seen: all the time while that is cheap, else in short windows.

Owner of the maps of bpf/offcpu.bpf.c. Every switch on the machine runs the program while a window
is open, so its cost depends on how many there are: it is learnt from window to window, and decides
how long the next one may last. The programs refuse waits once an allowance is spent.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from profiler.model.quantities import Window
from profiler.offcpu.switches import Switches
from profiler.offcpu.waits import Waits
from profiler.windows.bounded_windows import bounded
from profiler.windows.budget import SECOND_NS, Governor, Grant
from profiler.windows.window_budget import WindowBudget
from profiler.wire.offcpu import Control

SHARE = 0.3  # of what flows for lookups; it is paid beside that
_FIRST_NS = 10_000_000  # how long the first window lasts, of which nothing is known
_LEAST_WINDOW_NS = 2_000_000
_PART_NS = 200_000_000  # an open window is looked at so often
_LEAST_PAUSE_NS = 5_000_000
_NEVER_NS = 1 << 62
# Waits that are chosen in a second, at most: each costs the target a stack, and us some time.
_MOST_LOCKS_HZ = 1_000
_MOST_OTHERS_HZ = 400
_FIRST_OTHER_SHARE = 16
_LONGEST_SHARE = 1 << 12


def share_for(rate_hz: float, most_hz: float) -> int:
    """Return among how many one is to be chosen, a power of two."""
    wanted = min(max(rate_hz / most_hz, 1.0), _LONGEST_SHARE)
    return 1 << (round(wanted + 0.499) - 1).bit_length()


class OffCpuWindows:
    """Opens and closes windows on one target's switches, within a budget."""

    def __init__(
        self, switches: Switches, governor: Governor, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self._switches = switches
        self._is_limited = governor.is_limited
        self._budget = WindowBudget(governor, governor.share(SHARE), is_beside=True)
        self._clock = clock
        self._number = 0
        self._begin_ns: int | None = None  # of the open window
        self._until_ns = 0
        self._stopped_ns: int | None = None  # its programs refuse waits since then
        self._cost_rate = 0.0  # per nanosecond; 0: not known
        self._learnt_at_ns = 0
        self._learnt_cost_ns = 0
        self._learnt_counts: dict[str, int] = {}
        self._shares = (1, _FIRST_OTHER_SHARE if self._is_limited else 1)
        self.waits = Waits()
        self.windows: list[Window] = []
        self.covered_ns = 0
        self.problem: str | None = None  # why no window could be opened; then none is tried again

    @property
    def is_open(self) -> bool:
        """Return whether switches are being seen."""
        return self._begin_ns is not None

    @property
    def cost_ns(self) -> int:
        """Return what was charged so far."""
        return round(self._budget.charged_ns)

    def step(self, now_ns: int) -> int:
        """Open, go on or close if it is time; return when to call again, CLOCK_MONOTONIC."""
        if self.problem is not None:
            return now_ns + _NEVER_NS
        if self._begin_ns is None:
            return self._try_to_open(now_ns)
        self.drain()
        if now_ns < self._until_ns and self._stopped_ns is None:
            return self._until_ns
        self._learn(now_ns)
        self._charge(closed=False)
        grant = self._budget.go_on(now_ns) if self._stopped_ns is None else None
        if grant is None:
            self.close()
            return self._clock() + _LEAST_PAUSE_NS
        self._allow(grant, now_ns)
        return self._until_ns

    def _try_to_open(self, now_ns: int) -> int:
        grant = self._budget.open(now_ns)
        if grant is None:
            return self._budget.next_ns(now_ns)
        try:
            self._switches.attach()
        except OSError as error:
            self.problem = f"waits could not be seen: {error.strerror}"
            return now_ns + _NEVER_NS
        self._number += 1
        self._stopped_ns = None
        self._charge(closed=False)
        self._begin_ns = begin_ns = self._clock()
        self._note_learnt(begin_ns)
        self._allow(grant, begin_ns)
        self._switches.find()
        return self._until_ns

    def _allow(self, grant: Grant, now_ns: int) -> None:
        """Let the window be open as long as the grant pays for it, as far as is known."""
        length_ns = _FIRST_NS
        if not self._is_limited:
            length_ns = _PART_NS
        elif self._cost_rate:
            length_ns = min(round(grant.allowance_ns / self._cost_rate), _PART_NS)
        self._until_ns = now_ns + max(length_ns, _LEAST_WINDOW_NS)
        allowance_ns = self._switches.state().spent_ns + grant.allowance_ns
        # Nothing is left out when we come late: the window is as long then as it was open.
        self._switches.control(Control(allowance_ns, self._number, *self._shares))

    def _note_learnt(self, now_ns: int) -> None:
        self._learnt_at_ns = now_ns
        self._learnt_cost_ns = self._taken_ns()
        self._learnt_counts = self._switches.counts()

    def _learn(self, now_ns: int) -> None:
        """Learn what a nanosecond of a window costs, and how many waits begin in it."""
        elapsed_ns = now_ns - self._learnt_at_ns
        if elapsed_ns < _LEAST_WINDOW_NS:
            return
        before, before_ns = self._learnt_counts, self._learnt_cost_ns
        self._note_learnt(now_ns)
        self._cost_rate = (self._learnt_cost_ns - before_ns) / elapsed_ns
        seen, locks = (self._learnt_counts[name] - before[name] for name in ("seen", "locks"))
        seconds = elapsed_ns / SECOND_NS
        self._shares = (
            share_for(locks / seconds, _MOST_LOCKS_HZ),
            share_for((seen - locks) / seconds, _MOST_OTHERS_HZ),
        )

    def drain(self) -> None:
        """Take in the waits that have ended."""
        if self._begin_ns is None:
            return
        ended = tuple(self._switches.ended())
        window = Window(self._begin_ns, self._end_ns())
        for end_ns, tid, wait in ended:
            self.waits.add(tid, wait, end_ns, window, has_ended=True)

    def _end_ns(self) -> int:
        """Return up to when the open window has seen all that began."""
        state = self._switches.state()
        if state.stopped == self._number:
            self._stopped_ns = state.stopped_ns
        return self._clock() if self._stopped_ns is None else self._stopped_ns

    def close(self) -> None:
        """See no more switches; what has not ended is noted as waiting."""
        if self._begin_ns is None:
            return
        self._switches.control(Control())
        window = Window(self._begin_ns, max(self._end_ns(), self._begin_ns))
        self._switches.detach()
        self.drain()
        for tid, wait in self._switches.take_open():
            self.waits.add(tid, wait, window.end_ns, window, has_ended=False)
        self._begin_ns = None
        self._charge(closed=True)
        self.covered_ns += window.duration_ns
        self.windows = bounded([*self.windows, window])

    def abort(self) -> None:
        """See no more switches."""
        self._switches.detach()

    def _taken_ns(self) -> int:
        return self._switches.cost_ns()

    def _charge(self, closed: bool) -> None:
        """Charge what was taken since the last time."""
        self._budget.charge(self._taken_ns(), self._clock(), closed)
