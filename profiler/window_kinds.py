"""Which windows measure lookups, and which only count them. Pure."""

from __future__ import annotations

from enum import Enum

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

    def measured(self, lookups: int) -> None:
        """Learn how many lookups a window measured."""
        self._measured += lookups

    def next(self, number: int, now_ns: int) -> WindowKind:
        """Return the kind of the window of that number, where measuring slows lookups down."""
        has_enough = self._measured * 1e9 > ENOUGH_HZ * (now_ns - self._begun_ns)
        counting = CYCLE - 1 if has_enough else 1
        return WindowKind.COUNT if number % CYCLE >= CYCLE - counting else WindowKind.MEASURE
