from __future__ import annotations

import pytest

from profiler.measure.window_kinds import WindowKind, WindowKinds

SECOND = 1_000_000_000
BEGUN = 77 * SECOND


def letters(kinds: WindowKinds, now_ns: int) -> str:
    return "".join(
        kinds.next(number, now_ns, is_overhead_dominated=True).value[0] for number in range(6)
    )


@pytest.mark.parametrize(
    ("measured", "expected"), [(0, "mmcmmc"), (300, "mmcmmc"), (301, "mccmcc"), (9999, "mccmcc")]
)
def test_most_windows_count_once_enough_was_measured(measured: int, expected: str) -> None:
    kinds = WindowKinds(BEGUN)
    kinds.measured(measured - measured // 2, 0, SECOND)
    kinds.measured(measured // 2, 0, SECOND)
    assert letters(kinds, BEGUN + 10 * SECOND) == expected


def test_what_was_enough_is_not_for_longer() -> None:
    kinds = WindowKinds(BEGUN)
    kinds.measured(301, 0, SECOND)
    assert letters(kinds, BEGUN + 11 * SECOND) == "mmcmmc"


def test_the_first_window_measures() -> None:
    assert WindowKinds(BEGUN).next(0, BEGUN, is_overhead_dominated=True) is WindowKind.MEASURE


@pytest.mark.parametrize(("lookups_s", "expected"), [(3, "mmmmmm"), (4, "mmcmmc")])
def test_where_lookups_take_longer_than_threads_run_some_windows_count(
    lookups_s: int, expected: str
) -> None:
    kinds = WindowKinds(BEGUN)
    kinds.measured(10, SECOND, SECOND)
    kinds.measured(10, lookups_s * SECOND, SECOND)
    found = (kinds.next(number, BEGUN + SECOND, is_overhead_dominated=False) for number in range(6))
    assert "".join(kind.value[0] for kind in found) == expected
