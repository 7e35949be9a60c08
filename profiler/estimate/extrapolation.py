"""From lookups counted in windows to lookups in the whole time, with their uncertainty. Pure.

What a window saw is related to the work that the target did in it, not to the window's length: work
is the target's CPU time without what we took of it. A thread that looks up as fast as it can makes
fewer lookups in a window, because we slow it down, and exactly as many for each second of work; one
that waits for calls makes as many, with the same work. Either way lookups for each second of work
are those outside of windows too, and the work outside is known.

Each window stands for the work around it, up to half of the way to its neighbours: what the target
does changes, and a busy stretch gets shorter windows because its budget is spent sooner, so windows
far apart are not pooled. Neighbours with few lookups are, since a window that ends when enough was
seen is short when much happens by chance.

In an overhead-dominated window nobody can know how much of the CPU time was the target's. There all
of it is taken for work: lookups for each second of that are fewer than outside, since we slow them
down. A total that rests on such windows is a lower bound, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Windows are pooled until they have this many lookups: the error of ending at a lookup is then 1 %.
POOLED_LOOKUPS = 100
# By how much the cost of our probes may differ from what was calibrated.
COST_DOUBT_RATIO = 0.1
# A total of which more than this part was not seen, and is known only by overhead-dominated
# windows, is a lower bound.
UNKNOWN_RATIO = 0.1
# By how much the work of a lookup may differ in windows where lookups wait for each other: probes
# change who gets a lock next, and with it what is in the caches. See docs/overhead.md.
WAITING_DOUBT_RATIO = 0.1
COUNTED_WAITING_DOUBT_RATIO = 0.03  # in windows that only count them


@dataclass(frozen=True, slots=True)
class Span:
    """A window on the target's CPU clock, in nanoseconds: its ends, and our cost between them.

    `cost_outside_ns` is what we took since the last window beside it: placing and removing probes.
    `admitted` of all its lookups, which are `refused` more, were counted. The work may be off by
    `work_doubt_ratio` of it because of what the probes change.

    One that was merged of several was not open for `closed_ns` between its ends. It stands for
    `between_ns` of that, beside what lies outside.
    """

    begin_ns: int
    end_ns: int
    cost_ns: int
    cost_outside_ns: int
    admitted: int
    refused: int = 0
    is_overhead_dominated: bool = False
    work_doubt_ratio: float = 0.0
    closed_ns: int = 0
    between_ns: int = 0

    @property
    def whole_work_ns(self) -> float:
        """The target's own work in the window, or the most that it can be."""
        cpu_ns = self.end_ns - self.begin_ns - self.closed_ns
        return float(cpu_ns if self.is_overhead_dominated else cpu_ns - self.cost_ns)

    @property
    def doubt_ns(self) -> float:
        """By how much the work may be off."""
        cost_ratio = 1.0 if self.is_overhead_dominated else COST_DOUBT_RATIO
        return cost_ratio * self.cost_ns + self.work_doubt_ratio * self.whole_work_ns

    @property
    def work_ns(self) -> float:
        """The target's own work while the counted lookups were made."""
        work = self.whole_work_ns
        entered = self.admitted + self.refused
        return work * self.admitted / entered if entered else work

    @property
    def work_between_ns(self) -> int:
        """The target's own work between the windows that this one was merged of."""
        return max(self.between_ns - self.cost_outside_ns, 0)

    @property
    def cost_before_ns(self) -> int:
        """What we took before it."""
        return max(self.cost_outside_ns - self.between_ns, 0)


@dataclass(frozen=True, slots=True)
class Pool:
    """Neighbouring windows, [first, end), their work, and the work that they stand for."""

    first: int
    end: int
    work_ns: float
    period_ns: float
    doubt_ns: float
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
        return self.doubt_ns / self.work_ns if self.work_ns > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated number and the variance of the estimate; None: the number is a lower bound."""

    total: float
    variance: float | None


def pools(spans: Sequence[Span], begin_ns: int, end_ns: int) -> tuple[Pool, ...]:
    """Return windows, in time order, as pools that together stand for [begin_ns, end_ns)."""
    ends: list[int] = []
    admitted = 0
    for index, span in enumerate(spans):
        admitted += span.admitted
        if admitted >= POOLED_LOOKUPS:
            ends.append(index + 1)
            admitted = 0
    if spans:
        ends[-1:] = [len(spans)]  # what is left over joins the last pool
    periods = [_period_ns(spans, index, begin_ns, end_ns) for index in range(len(spans))]
    return tuple(
        Pool(
            first,
            end,
            sum(span.work_ns for span in spans[first:end]),
            sum(periods[first:end]),
            sum(span.doubt_ns for span in spans[first:end]),
            any(span.is_overhead_dominated for span in spans[first:end]),
        )
        for first, end in zip([0, *ends], ends, strict=False)
    )


def _period_ns(spans: Sequence[Span], index: int, begin_ns: int, end_ns: int) -> float:
    """The work that a window stands for: its own, and half of what lies between the windows."""
    span = spans[index]
    before = max(span.begin_ns - (spans[index - 1].end_ns if index else begin_ns), 0)
    before = max(before - span.cost_before_ns, 0)
    own = span.whole_work_ns + span.work_between_ns
    if index + 1 < len(spans):
        following = spans[index + 1]
        after = max(following.begin_ns - span.end_ns - following.cost_before_ns, 0) / 2
    else:
        after = max(end_ns - span.end_ns, 0)
    return own + (before / 2 if index else before) + after


def estimate(counts: Sequence[float], pooled: Sequence[Pool]) -> Estimate:
    """Return the estimated total of the lookups that were counted in each window.

    The variance has two parts. One comes from how much neighbouring pools differ (half of the
    squared difference of their rates), since rates drift. The other is the doubt about the work in
    windows, which is in all pools alike. What was measured without a gap adds to neither.
    """
    sums = [sum(counts[pool.first : pool.end]) for pool in pooled]
    totals = [count * pool.weight for count, pool in zip(sums, pooled, strict=True)]
    unseen = [total * pool.unseen for total, pool in zip(totals, pooled, strict=True)]
    unknown = [
        part for part, pool in zip(unseen, pooled, strict=True) if pool.is_overhead_dominated
    ]
    if sum(unknown) > UNKNOWN_RATIO * sum(totals):
        return Estimate(sum(totals), None)
    doubt = sum(part * pool.doubt_ratio for part, pool in zip(unseen, pooled, strict=True))
    if len(pooled) < 2:
        gaps = sum(t * max(pool.weight - 1, 0) for t, pool in zip(totals, pooled, strict=True))
        return Estimate(sum(totals), gaps + doubt**2)
    rates = [
        count / pool.work_ns if pool.work_ns > 0 else 0.0
        for count, pool in zip(sums, pooled, strict=True)
    ]
    differences = [(a - b) ** 2 / 2 for a, b in zip(rates, rates[1:], strict=False)]
    variance = 0.0
    for index, pool in enumerate(pooled):
        near = differences[max(index - 1, 0) : index + 1]
        variance += pool.period_ns**2 * pool.unseen * sum(near) / len(near)
    return Estimate(sum(totals), variance + doubt**2)
