from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.renderers.words import numbers


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (7.94, "7.94"), (7_900, "7.90 k"), (21_713, "21.7 k"), (999_900, "1.00 M")]
    + [(5.57e9, "5.57 G"), (1e12, "1 T"), (0.516, "0.52"), (999, "999"), (None, "?")],
)
def test_short_has_three_digits(value, text: str) -> None:
    assert numbers.short(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (55_585, "55,585"), (99_999.4, "99,999"), (100_000, "100 k"), (None, "?")],
)
def test_count_is_exact_below_a_hundred_thousand(value, text: str) -> None:
    assert numbers.count(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 ns"), (870, "870 ns"), (1_230_000, "1.23 ms"), (55.2e9, "55.2 s"), (None, "?")]
    + [(999.6, "1.00 us"), (3.6e12, "3600 s")],
)
def test_duration_has_the_unit_that_fits(value, text: str) -> None:
    assert numbers.duration(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (212_992, "213 kB"), (8_400_000, "8.40 MB")],
)
def test_size_is_decimal(value, text: str) -> None:
    assert numbers.size(value) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0, "0 %"), (0.00001, "<0.01 %"), (0.0005, "0.05 %"), (0.004, "0.4 %"), (0.01, "1 %")]
    + [(0.031, "3.1 %"), (0.93, "93 %"), (0.996, "99.60 %"), (0.999999, "99.99 %")]
    + [(1, "100 %"), (1.93, "193 %"), (None, "?")],
)
def test_percent_reads_well(ratio, text: str) -> None:
    assert numbers.percent(ratio) == text


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_percent_never_says_none_or_all_when_it_is_neither(ratio: float) -> None:
    assert numbers.percent(ratio) not in ("0 %", "100 %")


def test_a_change_has_its_sign() -> None:
    assert [numbers.change(value) for value in (117, -3.4, 0.2, -0.2)] == ["+117", "-3", "0", "0"]


def test_percent_cell_lines_up() -> None:
    assert [numbers.percent_cell(ratio) for ratio in (0.979, 0.03, None)] == [
        "97.9 %",
        "3.0 %",
        "?",
    ]


def test_a_time_below_the_resolution_is_only_bounded() -> None:
    assert numbers.measured_duration(0, 1024) == "<1.02 us"
    assert numbers.measured_duration(1023, 1024) == "<1.02 us"
    assert numbers.measured_duration(1024, 1024) == numbers.duration(1024)
    assert numbers.measured_duration(None, 1024) == numbers.UNKNOWN
    assert numbers.measured_duration(0, 1) == "<1 ns"


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 sockets"), (1, "1 socket"), (1_234, "1,234 sockets")]
)
def test_what_is_counted_has_its_number(value: int, text: str) -> None:
    assert numbers.counted(value, "socket") == text


def test_seconds_are_whole_from_one_on() -> None:
    assert [numbers.seconds(value) for value in (0.0412, 0.5, 4.1, 60.02, 3_600.4)] == [
        *("0.041 s", "0.5 s", "4 s", "60 s", "3,600 s")
    ]
