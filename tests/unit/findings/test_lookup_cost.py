from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.findings.lookup_cost import LookupCost, lookup_cost
from profiler.model.cpu_share import CpuShare
from profiler.model.recording import Sample
from profiler.model.search import Search
from tests.examples import empty, looking_up

CPU = CpuShare(200, 0.2, 0.18, 0.22)


@pytest.mark.parametrize(
    ("cost", "shows_time", "ratio"),
    [
        (LookupCost(None, 0.3, ()), True, 0.3),
        (LookupCost(None, 0.3, ("rough",)), False, 0.3),
        (LookupCost(CPU, 0.32, ()), False, 0.2),
        (LookupCost(CPU, 0.34, ()), True, 0.2),  # more than 1.5 times 0.22
        (LookupCost(CPU, 0.34, ("rough",)), False, 0.2),
    ],
)
def test_the_time_is_shown_where_it_tells_more(
    cost: LookupCost, shows_time: bool, ratio: float
) -> None:
    assert (cost.shows_time, cost.ratio) == (shows_time, ratio)


@pytest.mark.parametrize(
    ("cpu_ratio", "time_ratio", "doubts", "is_much"),
    [
        (None, 0.005, (), True),
        (None, 0.0049, (), False),
        (0.005, 0.0, (), True),
        (0.0049, 0.0, (), False),
        (0.0, 0.005, (), True),  # they wait
        (0.0, 0.005, ("rough",), False),
    ],
)
def test_what_runs_or_waits_is_much(
    cpu_ratio: float | None, time_ratio: float, doubts: tuple[str, ...], is_much: bool
) -> None:
    cpu = None if cpu_ratio is None else CpuShare(5, cpu_ratio, cpu_ratio / 2, cpu_ratio * 2)
    assert LookupCost(cpu, time_ratio, doubts).is_much is is_much


def test_samples_and_times_of_call_sites_add_up() -> None:
    profile = replace(empty(), samples=tuple(Sample(at, 1, 0) for at in range(10)))
    one = replace(looking_up(Search.KEY, 9), cpu=profile.cpu_share(2))
    other = replace(looking_up(Search.KEY, 9), cpu=profile.cpu_share(3, is_divided=True))
    cost = lookup_cost(profile, (one, other))
    assert cost.cpu == profile.cpu_share(5, is_divided=True)
    assert cost.time_ratio == pytest.approx(0.02)
    assert lookup_cost(profile, (looking_up(Search.KEY, 9),)).cpu is None
