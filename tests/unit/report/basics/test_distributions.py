from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.recording import Distribution
from profiler.report.basics.distributions import (
    add,
    merge_below,
    quantile,
    quantiles,
    time_resolution_ns,
)
from profiler.wire.lookups import slot_range


def slot_of(value: int) -> int:
    """The slot whose range holds a value, by search: the reference for the kernel's arithmetic."""
    slot = 0
    while slot_range(slot)[1] <= value:
        slot += 1
    return slot


def distribution(values: list[int]) -> Distribution:
    slots: dict[tuple[int, int], int] = {}
    for value in values:
        edge = slot_range(slot_of(value))
        slots[edge] = slots.get(edge, 0) + 1
    return Distribution(
        len(values),
        sum(values),
        max(values, default=None),
        tuple((low, high, count) for (low, high), count in sorted(slots.items())),
    )


VALUES = st.lists(st.integers(0, 5_000), max_size=60)


@given(VALUES, VALUES)
def test_the_sum_is_the_distribution_of_all_values(one: list[int], other: list[int]) -> None:
    assert add([distribution(one), distribution(other)]) == distribution(one + other)


def test_the_sum_of_nothing_is_empty() -> None:
    nothing = add([])
    assert nothing == Distribution(0, 0, None, ())
    assert quantiles(nothing).p50 is None
    assert quantiles(nothing).mean is None


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60), st.floats(0.01, 1))
def test_a_quantile_is_never_too_small_and_at_most_a_slot_too_large(
    values: list[int], share: float
) -> None:
    ordered = sorted(values)
    exact = next(v for n, v in enumerate(ordered, 1) if n >= share * len(values))
    found = quantile(distribution(values), share)
    assert found is not None
    assert exact <= found <= exact + exact // 32
    assert found <= max(values)


@given(st.lists(st.integers(0, 127), min_size=1, max_size=60))
def test_small_values_are_exact(values: list[int]) -> None:
    found = quantiles(distribution(values))
    assert found.p50 == sorted(values)[(len(values) + 1) // 2 - 1]
    assert (found.max, found.total) == (max(values), sum(values))


@pytest.mark.parametrize(
    ("trap_ns", "resolution_ns"),
    [(0, 1), (1, 1), (2, 2), (512, 512), (513, 1024), (790, 1024), (10_400, 16_384)],
)
def test_the_resolution_is_the_power_of_two_above_a_trap(trap_ns: int, resolution_ns: int) -> None:
    assert time_resolution_ns(trap_ns) == resolution_ns


@given(VALUES, st.integers(0, 12))
def test_merging_keeps_count_total_and_all_above(values: list[int], exponent: int) -> None:
    limit = 1 << exponent
    merged = merge_below(distribution(values), limit)
    assert (merged.count, merged.total) == (len(values), sum(values))
    assert sum(count for _, _, count in merged.slots) == len(values)
    below = sum(value < limit for value in values)
    assert merged.slots[:1] == (((0, limit, below),) if below else merged.slots[:1])
    assert merged.slots[bool(below) :] == distribution([v for v in values if v >= limit]).slots
