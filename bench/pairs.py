"""Statistics of paired measurements: the same thing with and without, in alternation. Pure."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

_RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Ratio:
    """A median, mostly of paired ratios, with its 95 % confidence interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.4f} [{self.low:.4f}, {self.high:.4f}]"


@dataclass(frozen=True, slots=True)
class Pairs:
    """What was measured with and without something, in alternation."""

    with_it: list[float] = field(default_factory=list)
    without: list[float] = field(default_factory=list)

    def add(self, with_it: float, without: float) -> None:
        """Add one round."""
        self.with_it.append(with_it)
        self.without.append(without)

    def add_costs(self, cost: float, before: float, after: float) -> None:
        """Add a round by what one piece of work cost in it, and in the rounds beside it without."""
        self.add(1 / cost, (1 / before + 1 / after) / 2)

    def ratio(self) -> Ratio:
        """Return the median of with_it / without over the rounds."""
        return paired_ratio(self.with_it, self.without)

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(self.with_it + other.with_it, self.without + other.without)


def paired_ratio(with_it: Sequence[float], without: Sequence[float], seed: int = 1) -> Ratio:
    """Return the median of with_it / without."""
    return median([a / b for a, b in zip(with_it, without, strict=True)], seed)


def median(values: Sequence[float], seed: int = 1) -> Ratio:
    """Return the median of values, its interval by the bootstrap."""
    generator = random.Random(seed)  # noqa: S311
    medians = sorted(
        statistics.median(generator.choices(values, k=len(values))) for _ in range(_RESAMPLES)
    )
    return Ratio(
        statistics.median(values),
        medians[round(0.025 * _RESAMPLES)],
        medians[round(0.975 * _RESAMPLES) - 1],
    )
