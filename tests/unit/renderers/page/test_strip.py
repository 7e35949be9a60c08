from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.recording import Window
from profiler.renderers.page.strip import Axis, Series, level, scale_of, strip

SECOND_NS = 1_000_000_000
AXIS = Axis(Window(5 * SECOND_NS, 15 * SECOND_NS))


def series(*values: float | None) -> Series:
    """Return values of seconds, from the window's first one on."""
    return Series(AXIS, [(6 + at) * SECOND_NS for at in range(len(values))], values)


def test_the_window_is_as_wide_as_the_drawing_and_nothing_is_outside() -> None:
    times = (0, 5, 7.5, 15, 99)
    assert [AXIS.x(at * SECOND_NS) for at in times] == [0, 0, 250, 1_000, 1_000]


def test_an_area_has_steps_and_gaps() -> None:
    assert series(2, 4, None, 1).steps(4) == (
        "M0.0 100V50.0H100.0V0.0H200.0V100zM300.0 100V75.0H400.0V100z"
    )
    assert series(None, None).steps(4) == ""


def test_a_line_joins_the_middles_of_what_is_known() -> None:
    assert series(10, None, 20).line(10, 20) == "M50.0 100.0L250.0 0.0h0"
    assert series(None, 7).line(7, 7) == "M150.0 50.0h0"  # one value has no height
    assert series(0, 0).line(0, 0) == "M50.0 100.0L150.0 100.0h0"  # but nothing is at the bottom
    assert series(None).line(0, 1) == ""


def test_it_is_known_when_a_series_was_highest() -> None:
    assert series(1, None, 9, 9).most_at() == "2.0 s"


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (0.5, ["0 s", "0.1 s", "0.2 s", "0.3 s", "0.4 s", "0.5 s"]),
        (10, ["0 s", "2 s", "4 s", "6 s", "8 s", "10 s"]),
        (60, ["0 s", "10 s", "20 s", "30 s", "40 s", "50 s", "60 s"]),
        (600, ["0 min", "2 min", "4 min", "6 min", "8 min", "10 min"]),
        (86_400, ["0 h", "4 h", "8 h", "12 h", "16 h", "20 h", "24 h"]),
    ],
)
def test_times_are_round(seconds: float, labels: list[str]) -> None:
    axis = Axis(Window(0, round(seconds * SECOND_NS)))
    assert [label for _, label in axis.ticks()] == labels
    assert re.findall(">([^<]+)</span>", scale_of(axis)) == labels


@given(st.integers(1, 2**64 - 1))
def test_there_are_few_times_however_long_it_lasts(duration_ns: int) -> None:
    ticks = Axis(Window(0, duration_ns)).ticks()
    assert 1 <= len(ticks) <= 9
    assert all(0 <= x <= 1_000.1 for x, _ in ticks)


def test_a_level_is_a_line_across() -> None:
    assert level(1, 4) == '<path class="level" d="M0 75.0H1000"/>'


def test_names_stay_text() -> None:
    made = strip(AXIS, 'a"<b>\n', "<i>", "1\u202e to '2'")
    assert "<b>a&quot;&lt;b&gt;\\n</b><small>&lt;i&gt;</small>" in made
    assert 'aria-label="a&quot;&lt;b&gt;\\n: 1\\u202e to &#x27;2&#x27;"' in made
