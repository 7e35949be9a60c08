from __future__ import annotations

import random
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiler.windows.budget import (
    LATE_NS,
    MAX_WINDOW_NS,
    MIN_ALLOWANCE_NS,
    MIN_CYCLE_NS,
    PLANNED_RATIO,
    SECOND_NS,
    UNLIMITED_NS,
    Governor,
)

MS = 1_000_000


@dataclass(frozen=True)
class Spending:
    """Something that cost `cost_ns` between two times."""

    begin_ns: int
    end_ns: int
    cost_ns: float


@dataclass(frozen=True)
class Load:
    """What the target does while a window is open: our cost per second, and after the window."""

    rate: float  # of one CPU that an open window costs
    late_ns: int  # what it costs beyond its allowance, at most LATE_NS


def simulate(ratio: float, loads: list[Load], sampling: float = 0.0) -> list[Spending]:
    """Run a governor against loads that change every 300 ms; return all that was spent."""
    governor = Governor(ratio, 0, random.Random(0).random)
    spent: list[Spending] = []
    now, charged_at, is_open, end = 0, 0, False, len(loads) * 300 * MS
    while now < end:
        load = loads[min(now // (300 * MS), len(loads) - 1)]
        cost = sampling * (now - charged_at)
        governor.charge(cost)
        spent.append(Spending(charged_at, now, cost))
        charged_at = now
        grant = governor.grant(now, is_open)
        if grant is None and not is_open:
            now += max(governor.wait_ns(now), MS)
            continue
        if grant is None:
            governor.charge_window(load.late_ns, 0, closed=True)
            spent.append(Spending(now, now, load.late_ns))
            is_open = False
            continue
        open_ns = grant.until_ns - now
        is_full = load.rate * open_ns >= grant.allowance_ns
        if is_full:
            open_ns = round(grant.allowance_ns / load.rate)
        cost = min(load.rate * open_ns, grant.allowance_ns) + (load.late_ns if is_full else 0)
        governor.charge_window(cost, grant.allowance_ns, closed=is_full)
        spent.append(Spending(now, now + open_ns, cost))
        is_open = not is_full
        now += max(open_ns, 1)
    return spent


def most_within(spent: list[Spending], stretch_ns: float) -> float:
    """Return the largest sum of what was spent inside any stretch of that length.

    What arose over some time arose evenly, so a stretch that costs most begins or ends with one.
    """
    edges = {item.end_ns - stretch_ns for item in spent} | {item.begin_ns for item in spent}
    return max(
        sum(
            item.cost_ns * _share(item, begin, begin + stretch_ns)
            for item in spent
            if item.end_ns >= begin and item.begin_ns <= begin + stretch_ns
        )
        for begin in edges
    )


def _share(item: Spending, begin_ns: float, end_ns: float) -> float:
    if item.begin_ns == item.end_ns:
        return 1.0
    inside = min(item.end_ns, end_ns) - max(item.begin_ns, begin_ns)
    return max(inside, 0.0) / (item.end_ns - item.begin_ns)


LOADS = st.lists(
    st.builds(
        Load,
        rate=st.sampled_from([1e-6, 0.001, 0.006, 0.0065, 0.007, 0.02, 0.5, 1.0, 2.0, 64.0]),
        late_ns=st.integers(0, LATE_NS),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=150)
@given(loads=LOADS, ratio=st.sampled_from([0.001, 0.005, 0.01, 0.05, 0.1, 1.0]))
def test_hostile_loads_never_cost_more_than_the_budget_over_any_horizon(
    loads: list[Load], ratio: float
) -> None:
    horizon = Governor(ratio, 0).horizon_ns
    spent = simulate(ratio, loads)
    assert most_within(spent, horizon) <= ratio * horizon
    total = 0.0
    for item in spent:  # from the beginning on, not only after the first horizon
        total += item.cost_ns
        assert total <= ratio * max(item.end_ns, 1) + 1


@settings(max_examples=50)
@given(loads=LOADS)
def test_the_cost_of_sampling_is_part_of_the_budget(loads: list[Load]) -> None:
    spent = simulate(0.01, loads, sampling=0.003)
    assert most_within(spent, SECOND_NS) <= 0.01 * SECOND_NS


@pytest.mark.parametrize("ratio", [0.005, 0.01, 0.1])
def test_a_load_that_needs_less_than_the_budget_is_seen_most_of_the_time(ratio: float) -> None:
    spent = simulate(ratio, [Load(rate=ratio / 4, late_ns=0)] * 40)
    seen = sum(item.end_ns - item.begin_ns for item in spent if item.cost_ns)
    assert seen > 0.75 * 12 * SECOND_NS


@pytest.mark.parametrize("rate", [0.02, 1.0, 8.0])
def test_a_load_that_needs_more_uses_most_of_the_budget(rate: float) -> None:
    spent = simulate(0.01, [Load(rate, late_ns=300_000)] * 100)
    assert sum(item.cost_ns for item in spent) > 0.35 * 0.01 * 30 * SECOND_NS


def test_saving_waits_until_a_walk_along_the_longest_chains_can_be_paid() -> None:
    governor = Governor(0.01, 0)
    assert governor.grant(SECOND_NS, is_open=False) is not None
    governor.charge_window(4 * MS, 4 * MS, closed=True)
    governor.saves = True
    grant = governor.grant(SECOND_NS + governor.wait_ns(SECOND_NS), is_open=False)
    assert grant is not None
    assert grant.allowance_ns > 4.5 * MS


def test_the_first_window_opens_within_the_first_half_second_and_is_small() -> None:
    governor = Governor(0.01, 0)
    wait = governor.wait_ns(0)
    assert wait < SECOND_NS / 2
    assert governor.grant(wait - MS, is_open=False) is None  # it is no longer than it must be
    grant = governor.grant(wait, is_open=False)
    assert grant is not None
    assert grant.allowance_ns == MIN_ALLOWANCE_NS


def test_windows_that_learn_are_small_and_come_soon() -> None:
    governor = Governor(0.01, 0, lambda: 1.0)
    governor.learns = True
    now_ns = SECOND_NS
    for _ in range(3):
        grant = governor.grant(now_ns, is_open=False)
        assert grant is not None
        assert grant.allowance_ns <= 0.5 * MS
        governor.charge_window(1.5 * MS, grant.allowance_ns, closed=True)
        wait_ns = governor.wait_ns(now_ns)
        assert wait_ns <= 2 * MIN_CYCLE_NS
        now_ns += wait_ns
    governor.saves = True  # long chains were met: they are walked in the next one
    grant = governor.grant(now_ns + governor.wait_ns(now_ns), is_open=False)
    assert grant is not None
    assert grant.allowance_ns > 4.5 * MS


def test_nothing_is_saved_beyond_the_depth() -> None:
    governor = Governor(0.01, 0)
    assert governor.level_ns(3600 * SECOND_NS) == governor.depth_ns == pytest.approx(6 * MS)


def test_a_late_window_makes_the_next_allowance_smaller() -> None:
    governor = Governor(0.01, 0)
    governor.charge_window(2_500_000, 500_000, closed=True)
    grant = governor.grant(60 * SECOND_NS, is_open=False)
    assert grant is not None
    assert grant.allowance_ns == pytest.approx(6 * MS - 2 * MS)


@pytest.mark.parametrize(("chance", "cycles"), [(0.0, 1.0), (0.5, 1.5)])
def test_windows_are_never_opened_close_to_each_other(chance: float, cycles: float) -> None:
    governor = Governor(1.0, 0, lambda: chance)
    least_ns = round(cycles * MIN_CYCLE_NS)
    first = governor.grant(SECOND_NS, is_open=False)
    assert first is not None
    assert governor.grant(SECOND_NS + least_ns - 1, is_open=False) is None
    assert governor.wait_ns(SECOND_NS + least_ns - 1) == 1
    assert governor.grant(SECOND_NS + least_ns, is_open=False) is not None


def test_the_level_at_which_a_window_opens_is_left_to_chance() -> None:
    opened = []
    for chance in (0.0, 1.0):
        governor = Governor(0.01, 0, partial(float, chance))
        assert governor.grant(SECOND_NS, is_open=False) is not None
        governor.charge_window(4 * MS, 4 * MS, closed=True)
        opened.append(governor.wait_ns(SECOND_NS))
    assert opened[0] == pytest.approx(750 * MS, rel=0.01)  # up to 3 ms of 6, at 4 ms a second
    assert opened[1] == pytest.approx(1_470 * MS, rel=0.01)  # up to 5.88


def test_a_share_limits_a_part_and_counts_for_itself() -> None:
    governor = Governor(0.03, 0)
    half = governor.share(0.5)
    assert half.horizon_ns == pytest.approx(SECOND_NS)
    assert Governor(0.015, 0).horizon_ns == pytest.approx(2 * SECOND_NS)
    half.charge(MS)
    assert (half.spent_ns, governor.spent_ns) == (MS, 0)
    assert not Governor(None, 0).share(0.5).is_limited


def test_probes_are_what_samples_are_not() -> None:
    governor = Governor(0.01, 0)
    governor.charge(3 * MS)
    governor.charge_sampling(5 * MS, SECOND_NS)
    assert (governor.spent_ns, governor.probes_ns) == (8 * MS, 3 * MS)


def test_without_a_budget_there_is_no_allowance_to_spend() -> None:
    governor = Governor(None, 0)
    for is_open in (False, True):
        grant = governor.grant(0, is_open)
        assert grant is not None
        assert (grant.until_ns, grant.allowance_ns) == (MAX_WINDOW_NS, UNLIMITED_NS)
        governor.charge_window(10 * SECOND_NS, grant.allowance_ns, closed=False)
    assert governor.wait_ns(0) == 0
    assert governor.spent_ns == 20 * SECOND_NS


def test_the_promise_is_by_the_second_from_three_per_cent_on() -> None:
    assert Governor(0.01, 0).horizon_ns == pytest.approx(3 * SECOND_NS)
    assert Governor(0.03, 0).horizon_ns == pytest.approx(SECOND_NS)
    assert Governor(0.1, 0).horizon_ns == SECOND_NS
    assert Governor(0.001, 0).horizon_ns == pytest.approx(30 * SECOND_NS)


@pytest.mark.parametrize(("spent_ms", "beyond_ms"), [(3, 0), (5, 2)])
def test_samples_cost_windows_what_is_beyond_their_share(spent_ms: int, beyond_ms: int) -> None:
    governor, undisturbed = Governor(0.01, 0), Governor(0.01, 0)
    governor.charge_sampling(spent_ms * MS, SECOND_NS)
    expected = undisturbed.level_ns(SECOND_NS) - beyond_ms * MS
    assert governor.level_ns(SECOND_NS) == pytest.approx(expected)
    assert governor.spent_ns == spent_ms * MS


def test_what_is_measured_beside_lookups_may_save_a_little() -> None:
    governor, undisturbed = Governor(0.01, 0), Governor(0.01, 0)
    governor.charge_beside(3 * MS, SECOND_NS)  # all that flowed in
    governor.charge_beside(3 * MS, 60 * SECOND_NS)  # all that it can hold
    assert governor.level_ns(60 * SECOND_NS) == undisturbed.level_ns(60 * SECOND_NS)
    governor.charge_beside(MS, 60 * SECOND_NS)
    assert governor.level_ns(60 * SECOND_NS) == undisturbed.level_ns(60 * SECOND_NS) - MS
    assert governor.spent_ns == governor.probes_ns == 7 * MS


@settings(max_examples=50)
@given(
    loads=LOADS,
    costs=st.lists(st.floats(0, 4), min_size=1, max_size=40),
    ratio=st.sampled_from([0.001, 0.01, 0.1]),
)
def test_whatever_is_measured_beside_lookups_is_part_of_the_budget(
    loads: list[Load], costs: list[float], ratio: float
) -> None:
    """What takes too much in one moment takes it from windows: then these wait."""
    governor = Governor(ratio, 0, random.Random(0).random)
    level, spent = [], 0.0
    for number, cost in enumerate(costs, 1):
        now = number * 100 * MS
        governor.charge_beside(cost * MS, now)
        spent += cost * MS
        level.append(governor.level_ns(now))
        assert spent <= ratio * now + max(-level[-1], 0.0)


def test_where_placing_probes_is_expensive_windows_measure_enough() -> None:
    """Over a minute the cost is still what was planned, plus one window."""
    governor = Governor(0.01, 0)
    now, late, allowances, spent = 0, 30 * MS, [], 0
    while now < 60 * SECOND_NS:
        grant = governor.grant(now, is_open=False)
        if grant is None:
            now += governor.wait_ns(now)
            continue
        allowances.append(grant.allowance_ns)
        cost = grant.allowance_ns + late
        governor.charge_window(cost, grant.allowance_ns, closed=True)
        spent += cost
        now += 10 * MS
    assert allowances[0] == MIN_ALLOWANCE_NS
    assert len(allowances) > 5
    assert all(allowance > 7 * MS for allowance in allowances[1:])
    assert spent < PLANNED_RATIO * 0.01 * now + allowances[-1] + late
