from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.estimate.extrapolation import COST_DOUBT_RATIO, POOLED_LOOKUPS, Span, estimate, pools

MS = 1_000_000


def span(begin: int, end: int, admitted: int, cost: int = 0, **more: int) -> Span:
    return Span(
        begin * MS, end * MS, cost * MS, more.get("outside", 0), admitted, more.get("refused", 0)
    )


def test_one_window_that_saw_all_is_exact() -> None:
    pooled = pools([span(0, 100, 4711)], 0, 100 * MS)
    found = estimate([4711], pooled)
    assert (found.total, found.variance) == (4711.0, 0.0)


def test_a_window_over_a_fifth_of_the_work_stands_for_five_times_its_lookups() -> None:
    pooled = pools([span(40, 60, 1000)], 0, 100 * MS)
    assert estimate([1000], pooled).total == pytest.approx(5000)


def test_our_own_cost_is_no_work_of_the_target() -> None:
    # 20 ms on the clock, 15 of them ours: 1000 lookups in 5 ms of work.
    pooled = pools([span(40, 60, 1000, cost=15)], 0, 100 * MS)
    assert estimate([1000], pooled).total == pytest.approx(1000 / 5 * (100 - 15))


def test_what_placing_probes_took_lies_outside_and_is_no_work_either() -> None:
    pooled = pools([span(40, 60, 1000, outside=10 * MS)], 0, 100 * MS)
    assert estimate([1000], pooled).total == pytest.approx(1000 / 20 * 90)


def test_refused_lookups_take_their_share_of_the_work_with_them() -> None:
    pooled = pools([span(40, 60, 750, refused=250)], 0, 100 * MS)
    assert estimate([750], pooled).total == pytest.approx(5000)


def test_windows_stand_for_what_lies_nearest() -> None:
    # 100 per ms in the first half, 10 in the second one.
    spans = [span(0, 10, 1000), span(30, 40, 1000), span(60, 70, 100), span(90, 100, 100)]
    pooled = pools(spans, 0, 100 * MS)
    assert [pool.period_ns / MS for pool in pooled] == [20, 30, 30, 20]
    assert estimate([1000, 1000, 100, 100], pooled).total == pytest.approx(5000 + 500)


def test_windows_with_few_lookups_are_pooled() -> None:
    few = POOLED_LOOKUPS // 2
    spans = [span(0, 10, few), span(20, 22, few), span(50, 60, 1000), span(90, 95, 3)]
    pooled = pools(spans, 0, 100 * MS)
    assert [(pool.first, pool.end) for pool in pooled] == [(0, 2), (2, 4)]
    assert pooled[0].work_ns == 12 * MS


@given(
    windows=st.lists(
        st.tuples(st.integers(1, 50), st.integers(0, 50), st.integers(0, 300)), max_size=30
    ),
    rest=st.integers(0, 50),
)
def test_all_work_is_accounted_for_by_exactly_one_pool(
    windows: list[tuple[int, int, int]], rest: int
) -> None:
    spans, clock = [], 0
    for length, gap, admitted in windows:
        clock += gap
        spans.append(span(clock, clock + length, admitted))
        clock += length
    pooled = pools(spans, 0, (clock + rest) * MS)
    if spans:
        assert sum(pool.period_ns for pool in pooled) == pytest.approx((clock + rest) * MS)
        covered = [index for pool in pooled for index in range(pool.first, pool.end)]
        assert covered == list(range(len(spans)))
    else:
        assert pooled == ()


@given(
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=20),
    st.integers(2, 40),
)
def test_groups_add_up_to_the_estimate_of_all(counts: list[tuple[int, int]], gap: int) -> None:
    spans = [span(i * gap, i * gap + 1, a + b) for i, (a, b) in enumerate(counts)]
    pooled = pools(spans, 0, len(counts) * gap * MS)
    whole = estimate([a + b for a, b in counts], pooled).total
    parts = sum(estimate([pair[i] for pair in counts], pooled).total for i in (0, 1))
    assert parts == pytest.approx(whole)


def test_a_window_without_work_counts_for_nothing() -> None:
    assert estimate([5], pools([span(10, 10, 5)], 0, 20 * MS)).total == 0.0


def test_doubt_about_our_cost_widens_the_interval() -> None:
    pooled = pools([span(0, 100, 1000, cost=90)], 0, 200 * MS)
    found = estimate([1000], pooled)
    assert found.total == pytest.approx(1000 + 10_000)
    # The thousand that were seen are not doubted; each stands for eleven.
    assert found.variance == pytest.approx((10_000 * COST_DOUBT_RATIO * 90 / 10) ** 2 + 110_000)


def test_doubt_about_what_probes_change_widens_it_too() -> None:
    spans = [replace(span(0, 100, 1000, cost=90), work_doubt_ratio=0.2)]
    found = estimate([1000], pools(spans, 0, 200 * MS))
    doubt_ratio = COST_DOUBT_RATIO * 90 / 10 + 0.2
    assert found.variance == pytest.approx((10_000 * doubt_ratio) ** 2 + 110_000)


def test_in_an_overhead_dominated_window_all_cpu_time_may_be_work() -> None:
    spans = [replace(span(40, 60, 1000, cost=15), is_overhead_dominated=True)]
    found = estimate([1000], pools(spans, 0, 100 * MS))
    assert found.total == pytest.approx(5000)
    assert found.variance is None


def test_where_all_was_seen_no_doubt_is_left() -> None:
    spans = [replace(span(0, 100, 1000, cost=90), work_doubt_ratio=0.2)]
    found = estimate([1000], pools(spans, 0, 100 * MS))
    assert (found.total, found.variance) == (1000, 0)


def storm(seed: int) -> tuple[float, float, float]:
    """Return (estimate, standard error, truth): lookups at random, windows that end when full."""
    generator = random.Random(seed)
    times = sorted(generator.uniform(0, 10_000 * MS) for _ in range(20_000))
    spans, counts, at = [], [], 0.0
    for _ in range(40):
        begin = at + 200 * MS
        inside = [time for time in times if time >= begin][:60]
        if len(inside) < 60 or inside[-1] > 10_000 * MS:
            break
        spans.append(Span(round(begin), round(inside[-1]), 0, 0, 60))
        counts.append(60)
        at = inside[-1]
    found = estimate(counts, pools(spans, 0, 10_000 * MS))
    assert found.variance is not None
    return found.total, found.variance**0.5, 20_000.0


def test_intervals_contain_the_truth_as_often_as_they_say() -> None:
    runs = [storm(seed) for seed in range(60)]
    inside = sum(abs(total - truth) <= 1.96 * error for total, error, truth in runs)
    mean = sum(total for total, _, _ in runs) / len(runs)
    assert inside >= 50
    assert mean == pytest.approx(20_000, rel=0.02)
