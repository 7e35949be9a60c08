"""What measuring takes from lookups that wait for each other, beyond traps and programs. Pure.

Probes change who gets a lock next, and with it what is in whose caches. Windows that only count do
not, so what a lookup needs more in windows that measure is our cost as well.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from profiler.observed import MeasuredWindow

# Windows of each kind from which their difference says more than how much they differ.
LEAST_WINDOWS = 5
# Standard errors that a difference must have: the target's other work differs by chance as well.
_LEAST_ERRORS = 2.0


@dataclass(slots=True)
class _Kind:
    """Sums over all windows of a kind; work in nanoseconds."""

    windows: int = 0
    lookups: int = 0
    work: int = 0
    lookups_squared: int = 0
    work_squared: int = 0
    work_by_lookups: int = 0

    def add(self, lookups: int, work: int) -> None:
        self.windows += 1
        self.lookups += lookups
        self.work += work
        self.lookups_squared += lookups**2
        self.work_squared += work**2
        self.work_by_lookups += work * lookups

    @property
    def variance(self) -> float:
        """Variance of the summed work, by how much windows differ from their mean for a lookup."""
        mean = self.work / self.lookups
        squared = self.work_squared - 2 * mean * self.work_by_lookups
        return max(squared + mean**2 * self.lookups_squared, 0.0)


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
        if window.is_cheap:
            kind = self._counted if window.is_counting else self._measured
            kind.add(window.lookups, window.cpu_ns - window.cost_ns)
        cost_ns = self._cost_ns()
        more_ns, self._charged_ns = cost_ns - self._charged_ns, cost_ns
        return more_ns

    def _cost_ns(self) -> float:
        measured, counted = self._measured, self._counted
        if min(measured.windows, counted.windows) < LEAST_WINDOWS:
            return 0.0
        if not (measured.lookups and counted.lookups):
            return 0.0
        ratio = measured.lookups / counted.lookups
        more_ns = measured.work - ratio * counted.work
        error_ns = math.sqrt(measured.variance + ratio**2 * counted.variance)
        return more_ns if more_ns > _LEAST_ERRORS * error_ns else 0.0
