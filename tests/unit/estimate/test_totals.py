from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.estimate.totals import estimate_totals
from profiler.model.observed import GroupWindow, MeasuredWindow
from profiler.model.recording import ProbeWindow
from profiler.wire.lookups import Group, GroupKey, Verdict

MS = 1_000_000
KEY = GroupKey(
    container=0x1000, comparator=0x2000, file=0x3000, function=0x4000, line=5, flags=64, entry=0
)
OTHER = replace(KEY, line=6)
NESTED = replace(KEY, entry=1)


def group(measured: int) -> Group:
    verdicts = tuple(measured if verdict is Verdict.VERIFIED else 0 for verdict in Verdict)
    return Group(1, 2, verdicts, *[0] * 10)


def window(
    begin: int, end: int, counts: dict[GroupKey, int], cost: int = 0, counting: bool = False
) -> MeasuredWindow:
    if counting:
        counts = {replace(key, comparator=0): count for key, count in counts.items()}
    admitted = 0 if counting else sum(counts.values())
    return MeasuredWindow(
        window=ProbeWindow(begin * MS, end * MS, admitted, cost * MS),
        groups=tuple(GroupWindow(key, count) for key, count in counts.items()),
        is_counting=counting,
        cpu_begin_ns=begin * MS,
        cpu_end_ns=end * MS,
        cpu_ns=(end - begin) * MS,
        cost_ns=cost * MS,
        admitted=admitted,
        refused=0,
        entry_count=sum(counts.values()) if counting else 0,
    )


def totals(windows: list[MeasuredWindow], *keys: GroupKey) -> dict[GroupKey, float]:
    found = estimate_totals(windows, {key: group(1) for key in keys}, 0, 100 * MS)
    return {key: estimate.total for key, estimate in found.items()}


def test_measuring_windows_that_cost_little_are_enough() -> None:
    windows = [window(40, 60, {KEY: 300, OTHER: 700}, cost=2)]
    found = totals(windows, KEY, OTHER)
    assert found[KEY] == pytest.approx(300 / 18 * 98)
    assert found[OTHER] == pytest.approx(700 / 18 * 98)


def test_where_measuring_is_expensive_counting_windows_decide() -> None:
    windows = [
        window(0, 10, {KEY: 50}, cost=9),
        window(45, 55, {KEY: 1000}, cost=1, counting=True),
    ]
    # 1000 in 9 ms of work; our own 10 ms are no work.
    assert totals(windows, KEY)[KEY] == pytest.approx(1000 / 9 * 90)


def test_overhead_dominated_windows_are_better_than_none() -> None:
    # All of the 20 ms may have been work: at least 500 for each 20 ms outside, and those inside.
    assert totals([window(40, 60, {KEY: 500}, cost=10)], KEY)[KEY] == pytest.approx(500 / 20 * 100)


def test_calls_of_one_entry_function_by_another_are_not_counted_twice() -> None:
    counted = {KEY: 1000, NESTED: 1000}
    windows = [window(0, 100, counted, counting=True)]
    assert totals(windows, KEY) == {KEY: pytest.approx(1000)}


def test_a_group_that_no_good_window_saw_is_estimated_as_none() -> None:
    windows = [window(0, 100, {KEY: 1000}, counting=True)]
    assert totals(windows, KEY, OTHER)[OTHER] == 0.0


def test_our_own_cost_is_doubted_by_a_tenth() -> None:
    windows = [window(at, at + 10, {KEY: 1000}, 1, counting=True) for at in range(0, 100, 20)]
    found = estimate_totals(windows, {KEY: group(1)}, 0, 100 * MS)[KEY]
    # The 5,000 that were counted are not doubted.
    assert found.variance is not None
    assert found.variance**0.5 == pytest.approx(0.1 * 1 / 9 * (found.total - 5_000), rel=0.01)


@pytest.mark.parametrize(("cost", "is_known"), [(2, True), (3, False)])
def test_where_our_cost_dominates_nobody_can_know_the_total(cost: int, is_known: bool) -> None:
    windows = [window(at, at + 10, {KEY: 1000}, cost, counting=True) for at in range(0, 100, 20)]
    found = estimate_totals(windows, {KEY: group(1)}, 0, 100 * MS)[KEY]
    assert (found.variance is not None) == is_known
    if not is_known:
        # As if all CPU time in windows had been the target's own: 1,000 in 10 ms.
        assert found.total == pytest.approx(10_000)


def test_a_total_is_known_where_all_was_seen_whatever_it_cost() -> None:
    windows = [window(at, at + 20, {KEY: 1000}, cost=15) for at in range(0, 100, 20)]
    found = estimate_totals(windows, {KEY: group(1)}, 0, 100 * MS)[KEY]
    assert (found.total, found.variance) == (5_000, 0)


@pytest.mark.parametrize(("calm", "is_known"), [(3_600, True), (3_400, False)])
def test_a_total_is_known_where_most_of_it_rests_on_other_windows(
    calm: int, is_known: bool
) -> None:
    windows = [
        window(20, 30, {KEY: calm}, cost=0, counting=True),
        window(70, 80, {KEY: 500}, cost=5, counting=True),
    ]
    found = estimate_totals(windows, {KEY: group(1)}, 0, 100 * MS)[KEY]
    assert (found.variance is not None) == is_known


@pytest.mark.parametrize(("duration_ms", "doubt_ratio"), [(75, 0.0), (76, 0.1)])
def test_where_lookups_wait_for_each_other_work_in_windows_is_doubted(
    duration_ms: int, doubt_ratio: float
) -> None:
    windows = [window(at, at + 10, {KEY: 1000}) for at in range(0, 100, 20)]
    waiting = replace(group(1), duration_total_ns=duration_ms * MS)
    found = estimate_totals(windows, {KEY: waiting}, 0, 100 * MS)[KEY]
    assert found.total == pytest.approx(10_000)
    assert found.variance is not None
    assert found.variance**0.5 == pytest.approx(doubt_ratio * 5_000)


def total_of_both_kinds(entry_count: int, waited_ms: int) -> float:
    # Two windows measure 500 lookups each and two count, in 10 ms each; 30 ms are twice the former.
    windows = [
        window(0, 10, {KEY: 500}),
        window(30, 40, {KEY: entry_count}, counting=True),
        window(60, 70, {KEY: entry_count}, counting=True),
        window(90, 100, {KEY: 500}),
    ]
    waiting = replace(group(1), duration_total_ns=waited_ms * MS)
    return estimate_totals(windows, {KEY: waiting}, 0, 100 * MS)[KEY].total


def test_where_lookups_wait_only_windows_that_count_decide() -> None:
    assert total_of_both_kinds(1000, waited_ms=31) == pytest.approx(10_000)
    assert total_of_both_kinds(1000, waited_ms=29) == pytest.approx(8_000)


def test_windows_that_count_too_little_decide_nothing() -> None:
    assert total_of_both_kinds(50, waited_ms=31) == pytest.approx(500)
    assert total_of_both_kinds(49, waited_ms=31) == total_of_both_kinds(49, waited_ms=29)


def test_work_in_windows_that_count_is_doubted_less() -> None:
    windows = [window(at, at + 10, {KEY: 1000}, counting=True) for at in range(0, 100, 20)]
    waiting = replace(group(1), duration_total_ns=1)
    found = estimate_totals(windows, {KEY: waiting}, 0, 100 * MS)[KEY]
    assert found.variance is not None
    assert found.variance**0.5 == pytest.approx(0.03 * 5_000)


def test_lookups_between_the_readings_of_the_clock_count() -> None:
    windows = [replace(window(0, 100, {KEY: 1000}, counting=True), entry_count=800)]
    assert totals(windows, KEY)[KEY] == pytest.approx(800)


def merged(first: MeasuredWindow, count: int, begin: int, end: int) -> MeasuredWindow:
    """Return several windows like the first one, as one with other ends."""
    return replace(first, cpu_begin_ns=begin * MS, cpu_end_ns=end * MS, merged=count)


def test_merged_windows_stand_for_what_lies_between_those_that_they_were() -> None:
    # Open for 20 of the 60 ms between its ends, and 2 ms of that were ours.
    windows = [merged(window(0, 20, {KEY: 900}, cost=2), 5, 20, 80)]
    assert totals(windows, KEY)[KEY] == pytest.approx(900 / 18 * 98)


def test_windows_of_two_sorts_share_what_lies_between_them_by_their_number() -> None:
    windows = [
        merged(window(0, 10, {KEY: 1000}), 3, 0, 100),
        merged(window(0, 10, {KEY: 500}, counting=True), 1, 0, 100),
    ]
    # 80 ms lie between: 60 of them are like the first 10 ms, 20 like the others.
    assert totals(windows, KEY)[KEY] == pytest.approx(1000 * 7 + 500 * 3)


def test_merged_windows_that_are_not_good_leave_their_stretch_to_others() -> None:
    windows = [
        merged(window(0, 10, {KEY: 77}, cost=5), 3, 0, 100),
        merged(window(0, 10, {KEY: 500}, counting=True), 1, 0, 100),
    ]
    assert totals(windows, KEY)[KEY] == pytest.approx(500 / 10 * 95)
