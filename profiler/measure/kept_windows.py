"""All windows of a run in bounded room: the last ones whole, older ones merged. Pure.

A day has some 400,000 windows. What lies back is cut into stretches of as many windows each, and a
stretch keeps one window of each sort: measuring or counting, overhead-dominated or not. Sums stay
exact. When there are too many stretches, neighbours are merged, and all become twice as long.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field

from profiler.model.observed import GroupWindow, MeasuredWindow
from profiler.model.recording import ProbeWindow
from profiler.wire.lookups import GroupKey

WHOLE_WINDOWS = 1_000
MAX_STRETCHES = 1_000
# A stretch keeps a count of each group that it saw: this many in all take some 20 MB.
MAX_COUNTS = 200_000


class KeptWindows:
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
        self.admitted = 0  # lookups, in all windows
        self._whole: deque[MeasuredWindow] = deque()
        self._stretches: list[Stretch] = []
        self._stretch_windows = 1  # in a full one
        self._counts = 0  # of groups in all stretches

    def add(self, window: MeasuredWindow) -> None:
        """Keep a window that is over."""
        self.seen += 1
        self.admitted += window.admitted
        self._whole.append(window)
        if len(self._whole) > self._whole_windows:
            self._fold(self._whole.popleft())

    def all(self) -> tuple[MeasuredWindow, ...]:
        """Return what is kept, in the order of time."""
        merged = (window for stretch in self._stretches for window in stretch.windows())
        return (*merged, *self._whole)

    def _fold(self, window: MeasuredWindow) -> None:
        if not self._stretches or self._stretches[-1].length >= self._stretch_windows:
            self._stretches.append(Stretch())
        last = self._stretches[-1]
        self._counts -= last.counts
        last.add(window)
        self._counts += last.counts
        while self._are_too_many():
            self._halve()

    def _are_too_many(self) -> bool:
        has_too_many_counts = self._counts > self._max_counts and len(self._stretches) > 1
        return len(self._stretches) > self._max_stretches or has_too_many_counts

    def _halve(self) -> None:
        """Merge each stretch with its neighbour; the last may be left alone."""
        for earlier, later in zip(self._stretches[::2], self._stretches[1::2], strict=False):
            for window in later.windows():
                earlier.add(window)
        self._stretches = self._stretches[::2]
        self._stretch_windows *= 2
        self._counts = sum(stretch.counts for stretch in self._stretches)


class Stretch:
    """Neighbouring windows, as one of each sort."""

    def __init__(self) -> None:
        self._first: MeasuredWindow | None = None
        self._last: MeasuredWindow | None = None
        self._sums: defaultdict[tuple[bool, bool], _Sum] = defaultdict(_Sum)

    @property
    def length(self) -> int:
        """How many windows it stands for."""
        return sum(total.merged for total in self._sums.values())

    @property
    def counts(self) -> int:
        """How many counts of groups it keeps."""
        return sum(len(total.groups) for total in self._sums.values())

    def add(self, window: MeasuredWindow) -> None:
        """Add the window that follows, or one that was merged of those that follow."""
        self._first = self._first or window
        self._last = window
        self._sums[window.is_counting, window.is_overhead_dominated].add(window)

    def windows(self) -> list[MeasuredWindow]:
        """Return one window of each sort, all with the ends of the stretch."""
        first, last = self._first, self._last
        if first is None or last is None:
            return []
        return [
            total.window(first, last, is_counting) for (is_counting, _), total in self._sums.items()
        ]


@dataclass(slots=True)
class _Sum:
    """All windows of one sort in a stretch; fields as in MeasuredWindow and its ProbeWindow."""

    fired: int = 0
    whole_cost_ns: int = 0
    open_ns: int = 0
    cpu_ns: int = 0
    cost_ns: int = 0
    admitted: int = 0
    refused: int = 0
    entry_count: int = 0
    merged: int = 0
    groups: Counter[GroupKey] = field(default_factory=Counter)

    def add(self, window: MeasuredWindow) -> None:
        self.fired += window.window.fired
        self.whole_cost_ns += window.window.cost_ns
        self.open_ns += window.window.end_ns - window.window.start_ns
        self.cpu_ns += window.cpu_ns
        self.cost_ns += window.cost_ns
        self.admitted += window.admitted
        self.refused += window.refused
        self.entry_count += window.entry_count
        self.merged += window.merged
        for group in window.groups:
            self.groups[group.key] += group.measured

    def window(
        self, first: MeasuredWindow, last: MeasuredWindow, is_counting: bool
    ) -> MeasuredWindow:
        start_ns = first.window.start_ns
        return MeasuredWindow(
            window=ProbeWindow(start_ns, start_ns + self.open_ns, self.fired, self.whole_cost_ns),
            groups=tuple(GroupWindow(key, count) for key, count in self.groups.items()),
            is_counting=is_counting,
            cpu_begin_ns=first.cpu_begin_ns,
            cpu_end_ns=last.cpu_end_ns,
            cpu_ns=self.cpu_ns,
            cost_ns=self.cost_ns,
            admitted=self.admitted,
            refused=self.refused,
            entry_count=self.entry_count,
            merged=self.merged,
        )
