from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.estimate.totals import Span, Total, estimate_totals
from profiler.model.observed import CountingWindow, GroupCount
from profiler.record.collection.counted_groups import NOTHING_MEASURED
from profiler.wire.lookups import Group, GroupKey
from tests.unit.estimate.windows import KEY, MS, window

PERIOD_NS = 10.0 * MS


def totals(
    windows: Sequence[CountingWindow],
    times_ms: Sequence[float] = (),
    end_ms: float = 1_000,
    groups: dict[GroupKey, Group] | None = None,
) -> dict[GroupKey, Total]:
    times_ns = [round(at * MS) for at in times_ms]
    span = Span(0, round(end_ms * MS), PERIOD_NS)
    return estimate_totals(windows, groups or {KEY: NOTHING_MEASURED}, lambda _: times_ns, span)


def measured(lookups: int) -> Group:
    return replace(NOTHING_MEASURED, verdicts=(lookups, *NOTHING_MEASURED.verdicts[1:]))


def test_where_all_was_counted_the_number_is_exact() -> None:
    assert totals([window(0, 1_000, 5_040)])[KEY] == Total(5_040, 5_040.0, 0.0)


def test_a_burst_outside_of_windows_is_known_by_samples() -> None:
    windows = [window(0, 200, 100), window(900, 1_000, 50)]
    times_ms = [*range(0, 200, 10), *range(500, 600, 2), *range(900, 1_000, 10)]
    found = totals(windows, times_ms)[KEY]
    assert found.variance is not None
    assert found.total == pytest.approx(150 + 50 * 5, rel=0.1)


def test_what_samples_contradict_the_clock_does_not_say() -> None:
    # By the clock half as many were outside as inside; by samples far more.
    windows = [window(100 * at, 100 * at + 66, 1) for at in range(10)]
    times_ms = [100 * at + 80 + step for at in range(10) for step in range(3)]
    assert totals(windows, times_ms)[KEY] == Total(10, 10.0, None)
    found = totals(windows, [])[KEY]
    assert found.total == pytest.approx(10 * 1_000 / 660, rel=0.03)


def test_a_site_that_was_seen_in_one_window_is_a_lower_bound() -> None:
    assert totals([window(0, 10, 0), window(500, 510, 9)])[KEY] == Total(9, 9.0, None)


def test_what_was_measured_and_not_counted_is_not_lost() -> None:
    found = totals([window(0, 1_000, 4)], groups={KEY: measured(7)})[KEY]
    assert (found.counted, found.total) == (4, 7.0)
    assert totals([], groups={KEY: measured(7)})[KEY] == Total(0, 7.0, None)


def test_an_estimate_that_says_nothing_is_a_lower_bound() -> None:
    windows = [window(0, 100, 10)]
    found = totals(windows, [5, *range(105, 1_000, 5)], end_ms=1_000)[KEY]
    assert found == Total(10, 10.0, None)


def test_sites_that_use_the_same_line_share_samples_and_have_their_own_counts() -> None:
    other = replace(KEY, container=0x9000)
    both = window(0, 500, 30)
    counted = GroupCount(other, 10)
    both = replace(both, groups=(*both.groups, counted))
    groups = {KEY: NOTHING_MEASURED, other: NOTHING_MEASURED}
    found = totals([both], range(0, 1_000, 10), groups=groups)
    assert found[KEY].total == pytest.approx(3 * found[other].total)
    assert found[KEY].total == pytest.approx(60, rel=0.05)


def test_groups_that_are_counted_together_share_what_was_counted() -> None:
    other = replace(KEY, buckets=7)
    found = totals([window(0, 1_000, 31)], groups={KEY: measured(3), other: measured(9)})
    assert (found[KEY].counted, found[other].counted) == (7, 24)
    assert (found[KEY].total, found[other].total) == (7, 24)
    assert found[KEY].variance == found[other].variance == 0
    bound = totals(
        [window(0, 10, 0), window(500, 510, 4)], groups={KEY: measured(1), other: measured(3)}
    )
    assert (bound[KEY].total, bound[other].total) == (1, 3)
    assert bound[KEY].variance is bound[other].variance is None


def test_however_lookups_are_shared_none_has_less_than_was_counted_of_it() -> None:
    groups = {replace(KEY, buckets=number): measured(1) for number in range(3)}
    found = totals([window(0, 1_000, 10)], groups=groups)
    assert sorted(one.counted for one in found.values()) == [2, 4, 4]
    assert all(one.total >= one.counted for one in found.values())
    assert sum(one.total for one in found.values()) == pytest.approx(10)


ANY = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 300), st.integers(0, 10_000), st.integers(0, 99)),
    max_size=30,
)


@given(ANY, st.lists(st.floats(0, 10_000), max_size=300), st.integers(0, 500))
def test_whatever_was_seen_is_in_the_total(
    drawn: list[tuple[int, int, int, int]], times_ms: list[float], seen: int
) -> None:
    windows, now = [], 0
    for gap, length, lookups, cost_percent in drawn:
        windows.append(window(now + gap, now + gap + length, lookups, length * cost_percent / 100))
        now += gap + length
    found = totals(windows, sorted(times_ms), now + 10, {KEY: measured(seen)})[KEY]
    assert found.counted == sum(one.lookups for one in windows)
    assert found.total >= max(found.counted, seen)
    assert found.variance is None or found.variance >= 0
