"""How much dearer a trap is in the target than in our calibration. Pure.

The calibration's loop has caches and branch predictors to itself; the target has not, and a busy
neighbour of its CPU makes traps half as dear again. Windows tell: one that only counts traps each
lookup once, one that measures two to five times, and what a lookup itself needs is the same in
both. So from the CPU time of a lookup in either (without our programs, which the kernel times),
y = own + factor * traps, both unknowns follow.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Lookups that each kind of window must have seen before it is believed.
LEAST_LOOKUPS = 200
LOWEST, HIGHEST = 0.8, 2.5


@dataclass(frozen=True, slots=True)
class Traps:
    """Lookups of one window, the target's CPU time without our programs, and calibrated traps."""

    lookups: int
    cpu_ns: float
    trap_ns: float


def trap_factor(counting: Iterable[Traps], measuring: Iterable[Traps]) -> float:
    """Return the factor, 1 as long as too little is known."""
    few, many = _sum(counting), _sum(measuring)
    if min(few.lookups, many.lookups) < LEAST_LOOKUPS:
        return 1.0
    cpu = many.cpu_ns / many.lookups - few.cpu_ns / few.lookups
    traps = many.trap_ns / many.lookups - few.trap_ns / few.lookups
    if traps <= 0:
        return 1.0
    return min(max(cpu / traps, LOWEST), HIGHEST)


def _sum(windows: Iterable[Traps]) -> Traps:
    total = Traps(0, 0.0, 0.0)
    for window in windows:
        total = Traps(
            total.lookups + window.lookups,
            total.cpu_ns + window.cpu_ns,
            total.trap_ns + window.trap_ns,
        )
    return total
