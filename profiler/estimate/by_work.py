"""How many lookups there were, from counting windows and the target's CPU clock. Pure.

What a window counted is related to the work that the target did in it, not to its length: work is
the target's CPU time without what we took of it. A thread that looks up as fast as it can makes
fewer lookups in a window, because we slow it down, and exactly as many for each second of work; one
that waits for calls makes as many, with the same work. Either way lookups for each second of work
are those outside of windows too, and the work outside is known.

Each window stands for the work around it, up to half of the way to its neighbours, since what the
target does changes. Neighbours with few lookups are pooled.

In an overhead-dominated window nobody can know how much of the CPU time was the target's. Such
windows are left out where there are others. Else all of that time is taken for work: lookups for
each second of it are fewer than outside, since we slow them down, and the total is a lower bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from profiler.model.observed import CountingWindow

# Windows are pooled until they have this many lookups: the error of ending at a lookup is then 1 %.
POOLED_LOOKUPS = 100
# By how much the cost of our probes may differ from what was calibrated.
COST_DOUBT_RATIO = 0.1
# It takes so many pools with lookups to tell how much they differ; fewer if nearly all was seen.
LEAST_POOLS = 8
SEEN_RATIO = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated number of lookups, and the variance of the estimate."""

    total: float
    variance: float
    is_bound: bool = False  # there may be any number more


@dataclass(frozen=True, slots=True)
class Pool:
    """Neighbouring windows, [first, end), the work in them, and the work that they stand for.

    `edge_ns` of that lies before the first or after the last of all windows.
    """

    first: int
    end: int
    work_ns: float
    period_ns: float
    edge_ns: float
    cost_ns: float
    is_overhead_dominated: bool

    @property
    def weight(self) -> float:
        """How many lookups one that was counted stands for."""
        return self.period_ns / self.work_ns if self.work_ns > 0 else 0.0

    @property
    def unseen(self) -> float:
        """Part of the work that these windows stand for, and did not see."""
        return max(1 - self.work_ns / self.period_ns, 0.0) if self.period_ns else 0.0

    @property
    def doubt_ratio(self) -> float:
        """How far the work may be off."""
        return COST_DOUBT_RATIO * self.cost_ns / self.work_ns if self.work_ns > 0 else 0.0


def work_ns(window: CountingWindow) -> float:
    """Return the target's own work in a window, or the most that it can be."""
    cost_ns = 0 if window.is_overhead_dominated else window.cost_ns
    return float(max(window.cpu_ns - cost_ns, 0))


def good_windows(windows: Sequence[CountingWindow]) -> list[int]:
    """Return by index those that are not overhead-dominated; all if none of them saw a lookup."""
    good = [index for index, window in enumerate(windows) if not window.is_overhead_dominated]
    saw_any = any(windows[index].lookups for index in good)
    return good if saw_any else list(range(len(windows)))


def pools(windows: Sequence[CountingWindow], begin_ns: int, end_ns: int) -> tuple[Pool, ...]:
    """Return windows, in time order, as pools that stand for all of [begin_ns, end_ns)."""
    ends: list[int] = []
    lookups = 0
    for index, window in enumerate(windows):
        lookups += window.lookups
        if lookups >= POOLED_LOOKUPS:
            ends.append(index + 1)
            lookups = 0
    if windows:
        ends[-1:] = [len(windows)]  # what is left over joins the last pool
    periods = [_period_ns(windows, index, begin_ns, end_ns) for index in range(len(windows))]
    return tuple(
        Pool(
            first,
            end,
            sum(work_ns(window) for window in windows[first:end]),
            sum(periods[first:end]),
            (_between_ns(windows, 0, begin_ns) if first == 0 else 0.0)
            + (max(end_ns - windows[-1].cpu_end_ns, 0) if end == len(windows) else 0),
            sum(window.cost_ns for window in windows[first:end]),
            any(window.is_overhead_dominated for window in windows[first:end]),
        )
        for first, end in zip([0, *ends], ends, strict=False)
    )


def _period_ns(windows: Sequence[CountingWindow], index: int, begin_ns: int, end_ns: int) -> float:
    """The work that a window stands for: its own, and half of what lies between the windows."""
    window = windows[index]
    before = _between_ns(windows, index, begin_ns)
    inside = max(window.cpu_end_ns - window.cpu_begin_ns - window.cpu_ns, 0)  # of a merged one
    if index + 1 < len(windows):
        after = _between_ns(windows, index + 1, begin_ns) / 2
    else:
        after = float(max(end_ns - window.cpu_end_ns, 0))
    return work_ns(window) + inside + (before / 2 if index else before) + after


def _between_ns(windows: Sequence[CountingWindow], index: int, begin_ns: int) -> float:
    """The work before a window, since the one before it."""
    last_ns = windows[index - 1].cpu_end_ns if index else begin_ns
    window = windows[index]
    return float(max(window.cpu_begin_ns - last_ns - window.cost_before_ns, 0))


def estimate(counts: Sequence[int], pooled: Sequence[Pool]) -> Estimate | None:
    """Return the total of lookups that were counted in each window; None: nobody can know it.

    The variance has three parts. One comes from how much neighbouring pools differ (half of the
    squared difference of their rates), since rates drift. Before the first window and after the
    last there is no neighbour: there may have been as many lookups as in it, or none. The third is
    the doubt about the work in windows, which is in all pools alike. What was counted without a gap
    adds to none.
    """
    sums = [sum(counts[pool.first : pool.end]) for pool in pooled]
    totals = [count * pool.weight for count, pool in zip(sums, pooled, strict=True)]
    unseen = [total * pool.unseen for total, pool in zip(totals, pooled, strict=True)]
    if not _is_known(sums, totals, unseen):
        return None
    is_bound = any(pool.is_overhead_dominated for pool in pooled)
    doubt = sum(part * pool.doubt_ratio for part, pool in zip(unseen, pooled, strict=True))
    if len(pooled) < 2:
        return Estimate(sum(totals), sum(unseen) ** 2 + doubt**2, is_bound)
    rates = [
        count / pool.work_ns if pool.work_ns > 0 else 0.0
        for count, pool in zip(sums, pooled, strict=True)
    ]
    differences = [(a - b) ** 2 / 2 for a, b in zip(rates, rates[1:], strict=False)]
    variance = 0.0
    for index, pool in enumerate(pooled):
        near = differences[max(index - 1, 0) : index + 1]
        variance += pool.period_ns**2 * pool.unseen * sum(near) / len(near)
        variance += (rates[index] * pool.edge_ns / 2) ** 2
    return Estimate(sum(totals), variance + doubt**2, is_bound)


def _is_known(sums: Sequence[int], totals: Sequence[float], unseen: Sequence[float]) -> bool:
    """Return whether what was counted says how much was not."""
    if not sum(totals):
        return False
    saw_all = sum(unseen) <= (1 - SEEN_RATIO) * sum(totals)
    return saw_all or sum(count > 0 for count in sums) >= LEAST_POOLS
