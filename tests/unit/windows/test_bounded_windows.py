from __future__ import annotations

from profiler.model.quantities import Window
from profiler.windows.bounded_windows import bounded

WINDOWS = [Window(0, 2), Window(10, 13), Window(20, 24)]


def test_neighbours_are_merged_with_their_length() -> None:
    assert bounded(WINDOWS, most=2) == [Window(0, 5), Window(20, 24)]


def test_few_are_left_alone() -> None:
    assert bounded(WINDOWS, most=3) == WINDOWS
