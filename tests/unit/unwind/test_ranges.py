from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.unwind.ranges import merged


@pytest.mark.parametrize(
    ("given_ranges", "expected"),
    [
        ([], ()),
        ([(5, 9), (0, 5)], ((0, 5), (5, 9))),
        ([(0, 6), (5, 9), (20, 22)], ((0, 9), (20, 22))),
        ([(0, 90), (5, 9)], ((0, 90),)),
        ([(0, 90), (95, 200)], ((0, 90), (95, 105))),
        ([(0, 300)] * 1_000, ((0, 100),)),
    ],
)
def test_each_place_is_there_once(
    given_ranges: list[tuple[int, int]], expected: tuple[tuple[int, int], ...]
) -> None:
    assert merged(given_ranges, most=100) == expected


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=20), st.integers(0, 80))
def test_no_more_than_allowed_is_there(drawn: list[tuple[int, int]], most: int) -> None:
    ranges = [(start, start + length) for start, length in drawn]
    places = [place for start, end in merged(ranges, most) for place in range(start, end)]
    every = sorted({place for start, end in ranges for place in range(start, end)})
    assert places == every[:most]
