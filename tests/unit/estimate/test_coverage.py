"""Intervals hold the true number, under the real budget and on a simulated target."""

from __future__ import annotations

import random

import pytest

from bench.estimates import holds
from bench.simulated import Load, Outcome, loads, record

NAMES = tuple(name for name, _ in loads(20.0, random.Random(0)))
RECORDINGS = 6


def outcomes(name: str, chain: int, budget_ratio: float | None) -> list[Outcome]:
    """Return what recordings of a load gave, each with moments of its own."""
    made = []
    for seed in range(RECORDINGS):
        phases = dict(loads(20.0, random.Random(seed)))[name]
        made.append(record(Load(20.0, tuple(phases), chain), budget_ratio, seed))
    return made


@pytest.mark.parametrize("chain", [100, 8_000])
def test_intervals_hold_the_truth(chain: int) -> None:
    made = [one for name in NAMES for one in outcomes(name, chain, 0.01)]
    assert sum(map(holds, made)) >= 0.95 * len(made)
    assert max(one.cost_ratio for one in made) <= 0.01


@pytest.mark.parametrize("name", ["50/s", "1,000/s"])
def test_few_lookups_are_known_well(name: str) -> None:
    known = [one for one in outcomes(name, 100, 0.01) if one.total.variance is not None]
    assert len(known) >= RECORDINGS - 1
    for one in known:
        assert one.total.total == pytest.approx(one.truth, rel=0.05)


@pytest.mark.parametrize("name", NAMES)
def test_without_a_budget_all_are_counted_once_that_is_prepared(name: str) -> None:
    for one in outcomes(name, 1_000, None):
        assert holds(one)
        if name != "1 s at the start":
            assert one.total.counted >= 0.9 * one.truth


@pytest.mark.parametrize("name", ["as fast as can be", "one burst of 5 s", "four bursts of 1 s"])
def test_bursts_of_long_lookups_are_estimated_in_most_recordings(name: str) -> None:
    totals = [one.total for one in outcomes(name, 8_000, 0.01)]
    assert sum(total.variance is not None for total in totals) > RECORDINGS / 2
