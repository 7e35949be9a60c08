"""Which windows measure lookups, and which only count them. Pure."""

from __future__ import annotations

from enum import Enum

from profiler.estimate.contention import do_wait

# Of so many windows one counts, where measuring slows lookups down; all but one, once enough
# lookups were measured for the time that has passed.
CYCLE = 3
ENOUGH_HZ = 30.0


class WindowKind(Enum):
    """What is done with the lookups of a window."""

    MEASURE = "measure"
    COUNT = "count"


class WindowKinds:
    """Gives each window its kind: exact counts come from some, numbers of lookups from others."""

    def __init__(self, begun_ns: int) -> None:
        self._begun_ns = begun_ns
        self._measured = 0
        self._ran_ns = 0
        self.lookups_wait = False  # for each other, or for a CPU

    def measured(self, lookups: int, lookups_ns: int, ran_ns: int) -> None:
        """Learn how many lookups a window measured, and how long the target ran in it.

        `lookups_ns`: how long all lookups took that were measured so far.
        """
        self._measured += lookups
        self._ran_ns += ran_ns
        self.lookups_wait = do_wait(lookups_ns, self._ran_ns)

    def next(self, number: int, now_ns: int, is_overhead_dominated: bool) -> WindowKind:
        """Return the kind of the window of that number.

        Some count where measuring slows lookups down: where our cost dominates, and where they wait
        for each other, since who is slowed down makes others wait.
        """
        has_enough = self._measured * 1e9 > ENOUGH_HZ * (now_ns - self._begun_ns)
        counting = CYCLE - 1 if has_enough else 1
        if not (is_overhead_dominated or self.lookups_wait) or number % CYCLE < CYCLE - counting:
            return WindowKind.MEASURE
        return WindowKind.COUNT
