"""Plans the next window by what earlier ones saw: measure or count, with which probes."""

from __future__ import annotations

from profiler.estimate.totals import do_wait
from profiler.measure.group_counts import GroupCounts
from profiler.measure.open_window import WindowKind
from profiler.measure.traversal_frames import TraversalFrames
from profiler.model.observed import MeasuredWindow

# Of so many windows one counts, where measuring slows lookups down; all but one, once enough
# lookups were measured for the time that has passed.
CYCLE = 3
ENOUGH_HZ = 30.0


class WindowPlanner:
    """Gives each window its kind: exact counts come from some, numbers of lookups from others.

    `is_limited`: there is a budget. Without one all windows measure.
    """

    def __init__(self, frames: TraversalFrames, is_limited: bool, begun_ns: int) -> None:
        self.frames = frames
        self._is_limited = is_limited
        self._begun_ns = begun_ns
        self._measured = self._ran_ns = 0
        self._do_lookups_wait = False  # for each other, or for a CPU
        self.is_overhead_dominated = True  # until it is known

    def next_kind(self, number: int, now_ns: int) -> WindowKind:
        """Return the kind of the window of that number.

        Some count where measuring slows lookups down: where our cost dominates, and where they wait
        for each other, since who is slowed down makes others wait.
        """
        is_slowed = self.is_overhead_dominated or self._do_lookups_wait
        has_enough = self._measured * 1e9 > ENOUGH_HZ * (now_ns - self._begun_ns)
        counting = CYCLE - 1 if has_enough else 1
        if not self._is_limited or not is_slowed or number % CYCLE < CYCLE - counting:
            return WindowKind.MEASURE
        return WindowKind.COUNT

    def predicts(self, kind: WindowKind, index: int) -> bool:
        """Return whether the window at that index does without the probe on traverse_first."""
        return kind is WindowKind.MEASURE and self.frames.suffice_in(index)

    def learn(self, window: MeasuredWindow, counts: GroupCounts, predicts: bool) -> None:
        """Learn from a window that is over, and from all lookups measured up to its end."""
        if window.is_counting:
            return
        if window.admitted:
            self.is_overhead_dominated = window.is_overhead_dominated
        self._measured += window.admitted
        self._ran_ns += window.cpu_ns
        self._do_lookups_wait = do_wait(counts.lookups_ns, self._ran_ns)
        self.frames.learn(counts.entries(), counts.verdicts, predicts)
