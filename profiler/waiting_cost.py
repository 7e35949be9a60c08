"""What measuring takes from lookups that wait for each other, beyond traps and programs. Pure.

Probes change who gets a lock next, and with it what is in whose caches. Windows that only count do
not, so what a lookup needs more in windows that measure is our cost as well.
"""

from __future__ import annotations

from dataclasses import dataclass

from profiler.observed import MeasuredWindow

# Windows of each kind from which their difference says more than how much they differ.
LEAST_WINDOWS = 5
# Where our cost is a larger part of the target's CPU time, what is left of it is not known well.
GOOD_RATIO = 0.2


@dataclass(slots=True)
class _Kind:
    """Sums over all windows of a kind."""

    windows: int = 0
    lookups: int = 0
    work_ns: int = 0


class WaitingCost:
    """Compares the work of a lookup in windows that measure with that in windows that count."""

    def __init__(self) -> None:
        self._measured = _Kind()
        self._counted = _Kind()
        self._charged_ns = 0.0

    def learn(self, window: MeasuredWindow) -> float:
        """Take in a window while lookups wait; return what is to be charged, in nanoseconds.

        Less than nothing when more was charged before than it is known to be now.
        """
        cpu_ns = window.cpu_end_ns - window.cpu_begin_ns
        if window.cost_ns < GOOD_RATIO * cpu_ns:
            kind = self._counted if window.is_counting else self._measured
            kind.windows += 1
            kind.work_ns += cpu_ns - window.cost_ns
            counted = window.tallied if window.is_counting else window.admitted + window.refused
            kind.lookups += counted
        cost_ns = self._cost_ns()
        more_ns, self._charged_ns = cost_ns - self._charged_ns, cost_ns
        return more_ns

    def _cost_ns(self) -> float:
        measured, counted = self._measured, self._counted
        if min(measured.windows, counted.windows) < LEAST_WINDOWS or not counted.lookups:
            return 0.0
        usual_ns = measured.lookups * counted.work_ns / counted.lookups
        return max(measured.work_ns - usual_ns, 0.0)
