from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from profiler.measure.open_window import WindowKind
from profiler.measure.window_planner import WindowPlanner
from profiler.model.observed import MeasuredWindow
from profiler.model.recording import ProbeWindow

SECOND = 1_000_000_000
BEGUN = 77 * SECOND


class Frames:
    """Traversal frames that suffice in even windows."""

    def __init__(self) -> None:
        self.learnt: list[object] = []

    def suffice_in(self, window: int) -> bool:
        return window % 2 == 0

    def learn(self, *what: object) -> None:
        self.learnt.append(what)


def planner(frames: Frames | None = None, is_limited: bool = True) -> WindowPlanner:
    made: Any = frames or Frames()
    return WindowPlanner(made, is_limited, BEGUN)


def learn(
    plan: WindowPlanner,
    admitted: int,
    lookups_ns: int = 0,
    cost_ns: int = SECOND,
    is_counting: bool = False,
) -> None:
    """Learn from a window of a second; `lookups_ns` are those of all windows so far."""
    window = MeasuredWindow(
        ProbeWindow(0, SECOND, admitted, cost_ns),
        (),
        is_counting,
        cpu_begin_ns=0,
        cpu_end_ns=SECOND,
        cpu_ns=SECOND,
        cost_ns=cost_ns,
        admitted=admitted,
        refused=0,
    )
    counts: Any = SimpleNamespace(
        lookups_ns=lookups_ns, entries=lambda: frozenset({3}), verdicts=(5,)
    )
    plan.learn(window, counts, predicts=True)


def letters(plan: WindowPlanner, now_ns: int) -> str:
    return "".join(plan.next_kind(number, now_ns).value[0] for number in range(6))


@pytest.mark.parametrize(
    ("measured", "expected"), [(0, "mmcmmc"), (300, "mmcmmc"), (301, "mccmcc"), (9999, "mccmcc")]
)
def test_most_windows_count_once_enough_was_measured(measured: int, expected: str) -> None:
    plan = planner()
    learn(plan, measured - measured // 2)
    learn(plan, measured // 2)
    assert letters(plan, BEGUN + 10 * SECOND) == expected


def test_what_was_enough_is_not_for_longer() -> None:
    plan = planner()
    learn(plan, 301)
    assert letters(plan, BEGUN + 11 * SECOND) == "mmcmmc"


def test_until_more_is_known_our_cost_dominates_and_the_first_window_measures() -> None:
    assert planner().is_overhead_dominated
    assert letters(planner(), BEGUN) == "mmcmmc"


@pytest.mark.parametrize(("lookups_s", "expected"), [(3, "mmmmmm"), (4, "mmcmmc")])
def test_where_lookups_take_longer_than_threads_run_some_windows_count(
    lookups_s: int, expected: str
) -> None:
    plan = planner()
    learn(plan, 10, SECOND, cost_ns=0)
    learn(plan, 10, lookups_s * SECOND, cost_ns=0)
    assert letters(plan, BEGUN + SECOND) == expected


def test_without_a_budget_all_windows_measure() -> None:
    plan = planner(is_limited=False)
    learn(plan, 9999)
    assert letters(plan, BEGUN + SECOND) == "mmmmmm"


def test_windows_without_lookups_and_those_that_count_teach_no_cost() -> None:
    frames = Frames()
    plan = planner(frames)
    learn(plan, 0, cost_ns=0)
    learn(plan, 8, cost_ns=0, is_counting=True)
    assert plan.is_overhead_dominated
    learn(plan, 8, cost_ns=0)
    assert not plan.is_overhead_dominated
    assert frames.learnt == [(frozenset({3}), (5,), True)] * 2


def test_only_windows_that_measure_do_without_a_probe() -> None:
    plan = planner()
    assert [plan.predicts(WindowKind.MEASURE, index) for index in (0, 1)] == [True, False]
    assert not plan.predicts(WindowKind.COUNT, 0)
