from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.observed import GroupWindow, MeasuredWindow
from profiler.recording import ProbeWindow
from profiler.totals import estimate_totals
from profiler.wire import NO_WINDOW, Group, GroupKey, Verdict

MS = 1_000_000
KEY = GroupKey(
    container=0x1000, comparator=0x2000, file=0x3000, function=0x4000, line=5, flags=64, entry=0
)
OTHER = replace(KEY, line=6)
NESTED = replace(KEY, entry=1)


def group(measured: int) -> Group:
    values = [0] * len(Group.__dataclass_fields__)
    found = Group(*values)
    verdicts = tuple(measured if verdict is Verdict.VERIFIED else 0 for verdict in Verdict)
    return replace(found, verdicts=verdicts)


def window(
    begin: int, end: int, counts: dict[GroupKey, int], cost: int = 0, counting: bool = False
) -> MeasuredWindow:
    if counting:
        counts = {replace(key, comparator=0): count for key, count in counts.items()}
    admitted = 0 if counting else sum(counts.values())
    return MeasuredWindow(
        window=ProbeWindow(begin * MS, end * MS, admitted, cost * MS),
        state=NO_WINDOW,
        groups=tuple(GroupWindow(key, count) for key, count in counts.items()),
        is_counting=counting,
        cpu_begin_ns=begin * MS,
        cpu_end_ns=end * MS,
        cost_ns=cost * MS,
        admitted=admitted,
        refused=0,
    )


def totals(windows: list[MeasuredWindow], *keys: GroupKey) -> dict[GroupKey, float]:
    found = estimate_totals(windows, {key: group(1) for key in keys}, 0, 100 * MS)
    return {key: estimate.total for key, estimate in found.items()}


def test_measuring_windows_that_cost_little_are_enough() -> None:
    windows = [window(40, 60, {KEY: 300, OTHER: 700}, cost=2)]
    found = totals(windows, KEY, OTHER)
    assert found[KEY] == pytest.approx(300 / 18 * 98)
    assert found[OTHER] == pytest.approx(700 / 18 * 98)


def test_where_measuring_is_dear_counting_windows_decide() -> None:
    windows = [
        window(0, 10, {KEY: 50}, cost=9),
        window(45, 55, {KEY: 1000}, cost=1, counting=True),
    ]
    # 1000 in 9 ms of work; our own 10 ms are no work.
    assert totals(windows, KEY)[KEY] == pytest.approx(1000 / 9 * 90)


def test_dear_windows_are_better_than_none() -> None:
    assert totals([window(40, 60, {KEY: 500}, cost=10)], KEY)[KEY] == pytest.approx(500 / 10 * 90)


def test_calls_of_one_entry_function_by_another_are_not_counted_twice() -> None:
    counted = {KEY: 1000, NESTED: 1000}
    windows = [window(0, 100, counted, counting=True)]
    assert totals(windows, KEY) == {KEY: pytest.approx(1000)}


def test_a_group_that_no_good_window_saw_is_estimated_as_none() -> None:
    windows = [window(0, 100, {KEY: 1000}, counting=True)]
    assert totals(windows, KEY, OTHER)[OTHER] == 0.0


def test_dearer_traps_are_taken_out_of_the_work_between_windows_once() -> None:
    # Each lookup works for 1 us; its one trap, or five, take 3 us each but are calibrated as 2 us.
    measuring = window(0, 16, {KEY: 1000}, cost=10)
    counting = window(56, 60, {KEY: 1000}, cost=2, counting=True)
    windows = [replace(seen, trap_ns=seen.cost_ns) for seen in (measuring, counting)]
    # 40 ms of nothing but lookups before the counting window, and as many after it.
    assert totals(windows, KEY)[KEY] == pytest.approx(82_000)
