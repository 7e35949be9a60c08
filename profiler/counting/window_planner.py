"""Plans the next window by what earlier ones saw: with which probes."""

from __future__ import annotations

from profiler.counting.group_counts import GroupCounts
from profiler.counting.traversal_frames import TraversalFrames
from profiler.model.observed import MeasuredWindow


class WindowPlanner:
    """Tells what the next window can do without."""

    def __init__(self, frames: TraversalFrames) -> None:
        self.frames = frames
        self.is_overhead_dominated = True  # until it is known

    def predicts(self, index: int) -> bool:
        """Return whether the window at that index does without the probe on traverse_first."""
        return self.frames.suffice_in(index)

    def learn(self, window: MeasuredWindow, counts: GroupCounts, predicts: bool) -> None:
        """Learn from a window that is over, and from all lookups measured up to its end."""
        if window.admitted:
            self.is_overhead_dominated = window.is_overhead_dominated
        self.frames.learn(counts.entries(), counts.verdicts, predicts)
