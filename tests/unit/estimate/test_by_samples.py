from __future__ import annotations

from collections.abc import Sequence

import pytest

from profiler.estimate.by_samples import Stretch, samples_counted, stretches
from profiler.model.observed import CountingWindow
from tests.unit.estimate.windows import MS, window

PERIOD_NS = 10.0 * MS


def every_ms(step: float, begin: float, end: float) -> list[int]:
    """Return times of samples."""
    return [round((begin + step * at) * MS) for at in range(round((end - begin) / step))]


def found(
    windows: Sequence[CountingWindow], times_ns: Sequence[int], cpu_ms: float
) -> tuple[Stretch, ...] | None:
    counts = [one.lookups for one in windows]
    return stretches(windows, counts, times_ns, PERIOD_NS, round(cpu_ms * MS))


def test_samples_fall_into_windows_or_beside_them() -> None:
    windows = [window(0, 100, 1), window(500, 600, 1)]
    times_ns = [0, 99 * MS, 100 * MS, 550 * MS, 999 * MS]
    assert samples_counted(windows, times_ns) == [2, 1]
    merged = windows[0].merged_with(windows[1])
    assert samples_counted([merged], times_ns) == [pytest.approx(4 / 3)]  # a third was open


def test_lookups_outside_are_as_samples_are() -> None:
    # In one of two seconds lookups are counted; in the other they take twice the time.
    times_ns = every_ms(10, 0, 1_000) + every_ms(5, 1_000, 2_000)
    (one,) = found([window(0, 1_000, 70)], times_ns, cpu_ms=2_000) or ()
    assert (one.inside, one.outside) == (100, 200)
    assert one.weight == pytest.approx(2, rel=0.02)
    assert one.variance**0.5 == pytest.approx(2 * (1.6 * (1 / 100 + 1 / 200)) ** 0.5, rel=0.02)


def test_stretches_follow_each_other_without_a_gap() -> None:
    windows = [window(at, at + 200, 10) for at in (100, 400, 700)]
    one, other, last = found(windows, every_ms(10, 0, 1_000), cpu_ms=1_000) or ()
    assert [(part.first, part.end) for part in (one, other, last)] == [(0, 1), (1, 2), (2, 3)]
    assert [part.inside for part in (one, other, last)] == [20, 20, 20]
    assert [part.outside for part in (one, other, last)] == [10, 10, 20]


def test_too_little_work_in_windows_tells_nothing() -> None:
    assert found([window(0, 90, 10)], every_ms(10, 0, 1_000), cpu_ms=1_000) is None
    assert found([window(0, 1_000, 0)], every_ms(10, 0, 1_000), cpu_ms=1_000) is None
    assert found([window(0, 1_000, 10)], [], cpu_ms=1_000) is None


def test_our_own_cost_is_taken_out() -> None:
    (one,) = found([window(0, 500, 10, cost_ms=100)], every_ms(10, 0, 1_000), 1_000) or ()
    assert (one.seen, one.cost, one.inside, one.outside) == (50, 10, 40, 50)
    without = Stretch(0, 1, 40, 50, 0)
    assert one.weight == without.weight
    assert one.variance > without.variance
    assert found([window(0, 500, 10, cost_ms=151)], every_ms(10, 0, 1_000), 1_000) is None
