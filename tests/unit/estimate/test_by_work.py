from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest

from profiler.estimate.by_work import Estimate, estimate, work
from profiler.model.observed import CountingWindow
from tests.unit.estimate.windows import MS, window


def outside(
    windows: Sequence[CountingWindow], end_ms: float, begin_ms: float = 0
) -> Estimate | None:
    counts = [one.lookups for one in windows]
    return estimate(counts, work(windows, round(begin_ms * MS), round(end_ms * MS)))


def steady(number: int, cost_ms: float = 0.0) -> list[CountingWindow]:
    """Return windows of 10 ms, each 100 ms after the last one, that count 50."""
    return [window(100 * at, 100 * at + 10, 50, cost_ms) for at in range(number)]


def test_at_a_steady_rate_gaps_have_as_many_lookups() -> None:
    found = outside(steady(10), end_ms=910)
    assert found is not None
    assert found.lookups == pytest.approx(50 * 9 * 9)
    assert found.variance == pytest.approx(0)
    assert not found.is_bound


def test_a_gap_has_the_rates_of_both_neighbours() -> None:
    windows = steady(8)
    windows[-1] = window(700, 710, 150)
    found = outside(windows, end_ms=710)
    assert found is not None
    assert found.lookups == pytest.approx(9 * (6 * 50 + 100))
    assert found.variance > 0


def test_what_probes_took_is_no_work() -> None:
    windows = [replace(one, cost_before_ns=45 * MS) for one in steady(10, cost_ms=1)]
    found = outside(windows, end_ms=910)
    assert found is not None
    assert found.lookups == pytest.approx(9 * 50 * 45 / 9)
    # A tenth of the cost, which is a ninth of the work.
    assert math.sqrt(found.variance) == pytest.approx(found.lookups * 0.1 / 9)


def test_before_the_first_window_there_may_be_as_many_as_in_it_or_none() -> None:
    found = outside([window(10, 400, 390)], end_ms=400)
    assert found is not None
    assert found.lookups == pytest.approx(10)
    assert math.sqrt(found.variance) >= 5


@pytest.mark.parametrize(("with_lookups", "is_known"), [(7, False), (8, True)])
def test_it_takes_eight_windows_to_tell_how_they_differ(with_lookups: int, is_known: bool) -> None:
    windows = [window(100 * at, 100 * at + 10, 50 * (at < with_lookups)) for at in range(12)]
    assert (outside(windows, end_ms=1110) is not None) == is_known


def test_where_nearly_all_was_seen_one_window_is_enough() -> None:
    assert outside([window(10, 1_000, 30)], end_ms=1_000) is not None
    assert outside([window(500, 1_000, 30)], end_ms=1_000) is None


def test_without_a_lookup_nothing_is_known() -> None:
    assert outside([window(0, 10, 0)], end_ms=10) is None
    assert outside([], end_ms=10) is None


def test_overhead_dominated_windows_tell_no_rate_where_others_do() -> None:
    windows = steady(10)
    windows[3] = window(300, 310, 1, cost_ms=9)
    found = outside(windows, end_ms=910)
    assert found is not None
    assert found.lookups == pytest.approx(50 * 9 * 9)
    assert not found.is_bound


def test_where_all_are_overhead_dominated_it_is_a_lower_bound() -> None:
    found = outside(steady(10, cost_ms=5), end_ms=910)
    assert found is not None
    assert found.is_bound
    assert found.lookups == pytest.approx(50 * 9 * 9)  # all of the CPU time is taken for work


def test_a_merged_window_knows_what_was_not_in_it() -> None:
    windows = steady(20)
    pairs = zip(windows[::2], windows[1::2], strict=True)
    found = outside([one.merged_with(other) for one, other in pairs], end_ms=1_910)
    assert found is not None
    assert found.lookups == pytest.approx(50 * 9 * 19)
