from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.record.collection.bounded_series import BoundedSeries


def test_every_look_is_an_interval_while_there_is_room() -> None:
    series: BoundedSeries[str] = BoundedSeries(most=4)
    for at in range(4):
        series.add(at, {"a": at})
    assert series.ends_ns == (0, 1, 2, 3)
    assert series.all() == {"a": (0, 1, 2, 3)}


def test_two_intervals_become_one_that_keeps_the_most_and_the_end() -> None:
    series: BoundedSeries[str] = BoundedSeries(most=4)
    for at, value in enumerate((7, 3, 0, 5, 2, 9, 1)):
        series.add(at, {"a": value})
    assert series.ends_ns == (1, 3, 5, 6)
    assert series.all() == {"a": (7, 5, 9, 1)}


def test_what_came_late_or_went_has_no_value_in_the_other_intervals() -> None:
    series: BoundedSeries[str] = BoundedSeries(most=4)
    for at, values in enumerate(({}, {}, {"late": 4}, {}, {"late": 3, "last": 1})):
        series.add(at, values)
    assert series.all() == {"late": (None, 4, 3), "last": (None, None, 1)}


@given(st.integers(1, 40), st.lists(st.integers(0, 9), max_size=700))
def test_room_is_bounded_and_counts_stay_exact(half: int, steps: list[int]) -> None:
    series: BoundedSeries[str] = BoundedSeries(most=2 * half)
    total = 0
    for at, step in enumerate(steps):
        total += step
        series.add(at, {"count": total})
    ends, counts = series.ends_ns, series.all().get("count", ())
    assert len(ends) == len(counts) <= 2 * half
    assert list(counts) == [sum(steps[: end + 1]) for end in ends]
    assert list(ends) == sorted(set(ends))
    assert not steps or ends[-1] == len(steps) - 1
