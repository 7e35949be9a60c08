"""From lookups counted in windows to lookups in the whole time, with their uncertainty. Pure.

Each window stands for the time around it, up to half of the way to its neighbours: rates change,
and a busy stretch gets shorter windows because its budget is spent sooner, so windows must not be
pooled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """A window and the stretch of time that it stands for, in nanoseconds.

    `stopped`: it ended because its allowance was spent, which happens at a lookup; `admitted` is
    then one too many for its length (the last one decided where it ends).
    """

    open_ns: int
    period_ns: int
    admitted: int
    stopped: bool

    @property
    def weight(self) -> float:
        """How many lookups of the period one measured lookup stands for."""
        if self.open_ns <= 0:
            return 0.0
        factor = self.period_ns / self.open_ns
        if self.stopped and self.admitted > 1:
            factor *= (self.admitted - 1) / self.admitted
        return factor


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated number and the variance of the estimate."""

    total: float
    variance: float


def intervals(
    windows: Sequence[tuple[int, int, int, bool]], start_ns: int, end_ns: int
) -> tuple[Interval, ...]:
    """Return windows (start_ns, end_ns, admitted, stopped), in time order, with their periods."""
    found = []
    for index, (begin, end, admitted, stopped) in enumerate(windows):
        first = start_ns if index == 0 else (windows[index - 1][1] + begin) // 2
        is_last = index + 1 == len(windows)
        last = end_ns if is_last else (end + windows[index + 1][0]) // 2
        found.append(Interval(max(end - begin, 1), max(last - first, 0), admitted, stopped))
    return tuple(found)


def estimate(counts: Sequence[int], periods: Sequence[Interval]) -> Estimate:
    """Return the estimated total of counts measured in windows.

    The variance comes from how much neighbouring windows differ (half of the squared difference of
    their rates), since rates drift; what was measured without a gap adds none.
    """
    total = sum(count * period.weight for count, period in zip(counts, periods, strict=True))
    if len(periods) < 2:
        gap = sum(max(period.weight - 1, 0) * period.weight for period in periods)
        return Estimate(total, float(sum(counts)) * gap)
    rates = [
        count * period.weight / period.period_ns if period.period_ns else 0.0
        for count, period in zip(counts, periods, strict=True)
    ]
    differences = [(a - b) ** 2 / 2 for a, b in zip(rates, rates[1:], strict=False)]
    variance = 0.0
    for index, period in enumerate(periods):
        near = differences[max(index - 1, 0) : index + 1]
        unseen = 1 - min(period.open_ns / period.period_ns, 1.0) if period.period_ns else 0.0
        variance += period.period_ns**2 * unseen * sum(near) / len(near)
    return Estimate(total, variance)
