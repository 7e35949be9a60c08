from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.windows.durations import Durations


@given(st.lists(st.integers(0, 1 << 62)))
def test_sums_are_exact_and_slots_hold_their_values(values: list[int]) -> None:
    durations = Durations()
    for value in values:
        durations.add(value)
    made = durations.distribution()
    assert (made.count, made.total) == (len(values), sum(values))
    assert made.max == max(values, default=None)
    for low, high, count in made.slots:
        assert count == sum(low <= value < high for value in values)
        assert high - low <= max(low / 32, 1)
    assert sum(count for _, _, count in made.slots) == len(values)


def test_a_time_below_zero_counts_as_none() -> None:
    durations = Durations()
    durations.add(-5)
    assert durations.distribution().slots == ((0, 1, 1),)
