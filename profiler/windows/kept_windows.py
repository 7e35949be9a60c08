"""All windows of one sort in bounded room: the last ones whole, older ones merged. Pure.

A day has some 400,000 windows. What lies back is cut into stretches of as many windows each, and a
stretch keeps one window merged of all of them. Sums stay exact. When there are too many stretches,
neighbours are merged, and all become twice as long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sized
from typing import Generic, Protocol, TypeVar

WHOLE_WINDOWS = 1_000
MAX_STRETCHES = 1_000
# A stretch keeps a count of each group that it saw: this many in all take some 20 MB.
MAX_COUNTS = 200_000
W = TypeVar("W", bound="Window")


class Window(Protocol):
    """What can be kept."""

    @property
    def groups(self) -> Sized:
        """Return what it counted of each group."""

    def merged_with(self: W, later: W) -> W:
        """Return one window for both."""


class KeptWindows(Generic[W]):
    """The windows of a run, and how many there were."""

    def __init__(
        self,
        whole_windows: int = WHOLE_WINDOWS,
        max_stretches: int = MAX_STRETCHES,
        max_counts: int = MAX_COUNTS,
    ) -> None:
        self._whole_windows = whole_windows
        self._max_stretches = max_stretches
        self._max_counts = max_counts
        self.seen = 0
        self._whole: deque[W] = deque()
        self._stretches: list[W] = []
        self._stretch_windows = 1  # in a full one
        self._last_windows = 1  # in the last one
        self._counts = 0  # of groups in all stretches

    def add(self, window: W) -> None:
        """Keep a window that is over."""
        self.seen += 1
        self._whole.append(window)
        if len(self._whole) > self._whole_windows:
            self._fold(self._whole.popleft())

    def all(self) -> tuple[W, ...]:
        """Return what is kept, in the order of time."""
        return (*self._stretches, *self._whole)

    def _fold(self, window: W) -> None:
        if not self._stretches or self._last_windows >= self._stretch_windows:
            self._stretches.append(window)
            self._last_windows = 1
        else:
            last = self._stretches.pop()
            self._counts -= len(last.groups)
            self._stretches.append(last.merged_with(window))
            self._last_windows += 1
        self._counts += len(self._stretches[-1].groups)
        while self._are_too_many():
            self._halve()

    def _are_too_many(self) -> bool:
        has_too_many_counts = self._counts > self._max_counts and len(self._stretches) > 1
        return len(self._stretches) > self._max_stretches or has_too_many_counts

    def _halve(self) -> None:
        """Merge each stretch with its neighbour; the last may be left alone."""
        if len(self._stretches) % 2 == 0:
            self._last_windows += self._stretch_windows
        pairs = zip(self._stretches[::2], self._stretches[1::2], strict=False)
        merged = [earlier.merged_with(later) for earlier, later in pairs]
        self._stretches = merged + self._stretches[2 * len(merged) :]
        self._stretch_windows *= 2
        self._counts = sum(len(stretch.groups) for stretch in self._stretches)
