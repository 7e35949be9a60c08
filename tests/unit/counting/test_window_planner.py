from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from profiler.counting.window_planner import WindowPlanner
from profiler.model.observed import MeasuredWindow
from profiler.model.recording import ProbeWindow

SECOND = 1_000_000_000


class Frames:
    """Traversal frames that suffice in even windows."""

    def __init__(self) -> None:
        self.learnt: list[object] = []

    def suffice_in(self, window: int) -> bool:
        return window % 2 == 0

    def learn(self, *what: object) -> None:
        self.learnt.append(what)


def planner(frames: Frames | None = None) -> WindowPlanner:
    made: Any = frames or Frames()
    return WindowPlanner(made)


def learn(plan: WindowPlanner, admitted: int, cost_ns: int) -> None:
    """Learn from a window of a second."""
    window = MeasuredWindow(
        ProbeWindow(0, SECOND, admitted, cost_ns),
        (),
        cpu_ns=SECOND,
        cost_ns=cost_ns,
        admitted=admitted,
        refused=0,
    )
    counts: Any = SimpleNamespace(entries=lambda: frozenset({3}), verdicts=(5,))
    plan.learn(window, counts, predicts=True)


def test_windows_without_lookups_teach_no_cost() -> None:
    frames = Frames()
    plan = planner(frames)
    assert plan.is_overhead_dominated  # until more is known
    learn(plan, 0, cost_ns=0)
    assert plan.is_overhead_dominated
    learn(plan, 8, cost_ns=0)
    assert not plan.is_overhead_dominated
    learn(plan, 8, cost_ns=SECOND)
    assert plan.is_overhead_dominated
    assert frames.learnt == [(frozenset({3}), (5,), True)] * 3


def test_the_frames_say_which_windows_do_without_a_probe() -> None:
    assert [planner().predicts(index) for index in (0, 1)] == [True, False]
