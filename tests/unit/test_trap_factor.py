from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.trap_factor import HIGHEST, LEAST_LOOKUPS, LOWEST, Traps, trap_factor

TRAP_NS = 700


def window(lookups: int, own_ns: float, traps: int, factor: float) -> Traps:
    trap_ns = float(lookups * traps * TRAP_NS)
    return Traps(lookups, lookups * own_ns + factor * trap_ns, trap_ns)


@given(
    factor=st.floats(LOWEST, HIGHEST),
    own_ns=st.floats(50, 1e6),
    few=st.integers(LEAST_LOOKUPS, 5000),
    many=st.integers(LEAST_LOOKUPS, 5000),
)
def test_the_factor_is_found_whatever_a_lookup_itself_needs(
    factor: float, own_ns: float, few: int, many: int
) -> None:
    counting = [window(few, own_ns, 1, factor), window(17, own_ns, 1, factor)]
    measuring = [window(many, own_ns, 5, factor)]
    assert trap_factor(counting, measuring) == pytest.approx(factor, rel=1e-4)


def test_too_few_lookups_of_either_kind_tell_nothing() -> None:
    enough = [window(LEAST_LOOKUPS, 100, 5, 2.0)]
    few = [window(LEAST_LOOKUPS - 1, 100, 1, 2.0)]
    assert trap_factor(few, enough) == 1.0
    assert trap_factor(enough, few) == 1.0
    assert trap_factor([], []) == 1.0


def test_windows_with_the_same_traps_tell_nothing() -> None:
    same = [window(1000, 100, 1, 1.7)]
    assert trap_factor(same, same) == 1.0


@pytest.mark.parametrize(("cpu_ns", "expected"), [(1e9, HIGHEST), (0.0, LOWEST)])
def test_what_cannot_be_is_not_believed(cpu_ns: float, expected: float) -> None:
    counting = [window(1000, 100, 1, 1.0)]
    measuring = [Traps(1000, cpu_ns, 1000 * 5 * TRAP_NS)]
    assert trap_factor(counting, measuring) == expected
