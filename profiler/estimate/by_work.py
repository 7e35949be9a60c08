"""How many lookups began while none was counted, by the target's CPU clock. Pure.

What a window counted is related to the work that the target did in it, not to its length: work is
the target's CPU time without what we took of it. A thread that looks up as fast as it can makes
fewer lookups in a window, because we slow it down, and exactly as many for each second of work; one
that waits for calls makes as many, with the same work. Either way lookups for each second of work
are those outside of windows too, and the work outside is known.

What lies between two windows has the rates of these two, since what the target does changes.

In an overhead-dominated window nobody can know how much of the CPU time was the target's. Such
windows tell no rate where others do. Else all of that time is taken for work: lookups for each
second of it are fewer than outside, since we slow them down, and the number is a lower bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from profiler.model.observed import CountingWindow

# By how much the cost of our probes may differ from what was calibrated.
COST_DOUBT_RATIO = 0.1
# It takes so many windows with lookups to tell how much they differ; fewer if nearly all was seen.
LEAST_WINDOWS = 8
LEAST_WINDOWS_OF_A_BOUND = 4
SEEN_RATIO = 0.8


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated number of lookups, and the variance of the estimate."""

    lookups: float
    variance: float
    is_bound: bool = False  # there may be any number more


@dataclass(frozen=True, slots=True)
class Rated:
    """A window that tells a rate, by index, and the work outside that has this rate.

    `outer_ns` of that lies before the first or after the last of all windows.
    """

    window: int
    work_ns: float
    outside_ns: float
    outer_ns: float
    cost_ns: float

    def rate(self, counts: Sequence[int]) -> float:
        """Return the lookups for each nanosecond of work; `counts`: those of each window."""
        return counts[self.window] / self.work_ns if self.work_ns > 0 else 0.0

    @property
    def doubt_ratio(self) -> float:
        """How far the work may be off."""
        return COST_DOUBT_RATIO * self.cost_ns / self.work_ns if self.work_ns > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Work:
    """The work of a recording: in windows, in the order of time, and outside of them."""

    rated: tuple[Rated, ...]
    is_overhead_dominated: bool


def work(windows: Sequence[CountingWindow], begin_ns: int, end_ns: int) -> Work:
    """Return the work in windows that tell a rate, and in the gaps of [begin_ns, end_ns)."""
    good = [index for index, window in enumerate(windows) if not window.is_overhead_dominated]
    is_dominated = not any(windows[index].lookups for index in good)
    if is_dominated:
        good = list(range(len(windows)))
    gaps = _gaps(windows, begin_ns, end_ns)
    rated = []
    for number, index in enumerate(good):
        is_first, is_last = number == 0, index == good[-1]
        following = len(windows) if is_last else good[number + 1]
        before = sum(gaps[0 if is_first else good[number - 1] + 1 : index + 1])
        after = sum(gaps[index + 1 : following + 1])
        window = windows[index]
        inside = max(window.cpu_end_ns - window.cpu_begin_ns - window.cpu_ns, 0)  # if merged
        rated.append(
            Rated(
                window=index,
                work_ns=_work_ns(window),
                outside_ns=before / (1 if is_first else 2) + after / (1 if is_last else 2) + inside,
                outer_ns=(before if is_first else 0.0) + (after if is_last else 0.0),
                cost_ns=window.cost_ns,
            )
        )
    return Work(tuple(rated), is_dominated)


def _work_ns(window: CountingWindow) -> float:
    """Return the target's own work in a window, or the most that it can be."""
    cost_ns = 0 if window.is_overhead_dominated else window.cost_ns
    return float(max(window.cpu_ns - cost_ns, 0))


def _gaps(windows: Sequence[CountingWindow], begin_ns: int, end_ns: int) -> list[float]:
    """Return the work before each window, since the one before it, and that after the last."""
    gaps, last_ns = [], begin_ns
    for window in windows:
        gaps.append(float(max(window.cpu_begin_ns - last_ns - window.cost_before_ns, 0)))
        last_ns = window.cpu_end_ns
    return [*gaps, float(max(end_ns - last_ns, 0))]


def estimate(counts: Sequence[int], done: Work) -> Estimate | None:
    """Return how many lookups there were outside of windows; None: nobody can know it.

    `counts`: the lookups that each window counted. The variance has three parts. One comes from how
    much neighbouring windows differ (half of the squared difference of their rates), since rates
    drift. Before the first window and after the last there is no neighbour: there may have been as
    many lookups as in it, or none. The third is the doubt about the work in windows, which is in
    all of them alike.
    """
    rates = [rated.rate(counts) for rated in done.rated]
    parts = [rate * rated.outside_ns for rate, rated in zip(rates, done.rated, strict=True)]
    if not _is_known(sum(counts), rates, sum(parts), done.is_overhead_dominated):
        return None
    doubt = sum(part * one.doubt_ratio for part, one in zip(parts, done.rated, strict=True))
    differences = [(a - b) ** 2 / 2 for a, b in zip(rates, rates[1:], strict=False)]
    variance = doubt**2
    for index, (rate, rated) in enumerate(zip(rates, done.rated, strict=True)):
        near = differences[max(index - 1, 0) : index + 1] or [rate**2]
        variance += rated.outside_ns**2 * sum(near) / len(near)
        variance += (rate * rated.outer_ns / 2) ** 2
    return Estimate(sum(parts), variance, done.is_overhead_dominated)


def _is_known(counted: int, rates: Sequence[float], outside: float, is_bound: bool) -> bool:
    """Return whether what was counted says how much was not."""
    if not counted:
        return False
    saw_all = outside <= (1 - SEEN_RATIO) * (counted + outside)
    least = LEAST_WINDOWS_OF_A_BOUND if is_bound else LEAST_WINDOWS
    return saw_all or sum(rate > 0 for rate in rates) >= least
