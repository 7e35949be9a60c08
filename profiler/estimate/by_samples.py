"""How many lookups there were, from counting windows and CPU samples of their call site. Pure.

Samples come all the time, whether lookups are counted or not. Of a call site's samples, the part
that fell into counting windows says which part of its work was counted, however its lookups are
spread in time. Counts divided by that part are all its lookups.

Lookups may take more time at one end of the recording than at the other. So this is done for
stretches of time that have enough samples each, and then added up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from profiler.model.observed import CountingWindow

# In counting windows of one stretch of time: the error of its part is then about a third.
LEAST_SAMPLES = 10
# Our own cost comes out of samples in windows. Where it is more than this part of them, too little
# is known of the rest.
MOST_COST_RATIO = 0.3


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time: the windows [first, end), and a call site's samples."""

    first: int
    end: int
    samples: int
    counted: float  # of these in time in which lookups were counted, without our own cost

    @property
    def weight(self) -> float:
        """How many lookups one that was counted stands for.

        With one added to both it is right on average; plain numbers would be too large.
        """
        return max((self.samples + 1) / (self.counted + 1), 1.0)

    @property
    def variance_ratio(self) -> float:
        """The variance of the weight, in parts of its square: samples fall in or out by chance."""
        out = max(self.samples - self.counted, 0.0)
        return (out + 1) / ((self.samples + 1) * max(self.counted, 1.0))


def samples_counted(windows: Sequence[CountingWindow], times_ns: Sequence[int]) -> list[float]:
    """Return how many samples fell into each window; `times_ns` ascend."""
    found = []
    for window in windows:
        inside = bisect_left(times_ns, window.end_ns) - bisect_left(times_ns, window.start_ns)
        found.append(inside * window.open_ratio)
    return found


def stretches(
    windows: Sequence[CountingWindow],
    lookups: Sequence[int],
    times_ns: Sequence[int],
    period_ns: float,
) -> tuple[Stretch, ...] | None:
    """Return a recording in stretches; None where samples cannot tell.

    `lookups`: those of the call site that each window counted. `times_ns`: its samples, ascending;
    one stands for `period_ns`.
    """
    found: list[Stretch] = []
    first, since_ns = 0, 0
    counted = cost = 0.0
    inside = samples_counted(windows, times_ns)
    for index, window in enumerate(windows):
        counted += inside[index]
        cost += _cost_ns(window, lookups[index]) / period_ns
        if counted < LEAST_SAMPLES:
            continue
        if cost > MOST_COST_RATIO * counted:
            return None
        samples = bisect_left(times_ns, window.end_ns) - bisect_left(times_ns, since_ns)
        found.append(Stretch(first, index + 1, samples, counted - cost))
        first, since_ns = index + 1, window.end_ns
        counted = cost = 0.0
    if not found:
        return None
    rest = len(times_ns) - bisect_left(times_ns, since_ns)
    last = found[-1]
    found[-1] = Stretch(
        last.first, len(windows), last.samples + rest, last.counted + max(counted - cost, 0.0)
    )
    return tuple(found)


def _cost_ns(window: CountingWindow, lookups: int) -> float:
    """What our probes took in the lookups of one call site."""
    return window.cost_ns * lookups / window.lookups if lookups else 0.0
