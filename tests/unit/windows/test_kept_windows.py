"""Windows of a long run: what is kept stays small, and says the same."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.estimate.totals import Span, Total, estimate_totals
from profiler.model.observed import CountingWindow, GroupCount
from profiler.record.collection.counted_groups import NOTHING_MEASURED
from profiler.windows.kept_windows import MAX_STRETCHES, WHOLE_WINDOWS, KeptWindows
from profiler.wire.lookups import GroupKey

MS = 1_000_000
CYCLE_NS = 200 * MS
WINDOWS_AN_HOUR = 3_600_000 * MS // CYCLE_NS
KEYS = tuple(GroupKey(0x1000, 0, 0x3000, 0x4000, line, 64, 0) for line in (5, 6, 7))


def window(begin_ns: int, counts: Sequence[int], cost_ns: int = MS) -> CountingWindow:
    """Return a window of 10 ms; the target has one thread that always runs."""
    end_ns = begin_ns + 10 * MS
    return CountingWindow(
        start_ns=begin_ns,
        end_ns=end_ns,
        open_ns=10 * MS,
        cpu_begin_ns=begin_ns,
        cpu_end_ns=end_ns,
        cpu_ns=10 * MS,
        cost_ns=cost_ns,
        cost_before_ns=MS // 5,
        groups=tuple(
            GroupCount(key, count) for key, count in zip(KEYS, counts, strict=False) if count
        ),
    )


def kept_of(
    windows: Sequence[CountingWindow], whole: int, stretches: int
) -> KeptWindows[CountingWindow]:
    kept: KeptWindows[CountingWindow] = KeptWindows(whole, stretches)
    for one in windows:
        kept.add(one)
    return kept


class Day:
    """24 hours of windows, and what keeping them took in each hour."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        steps = 0
        merged_with = CountingWindow.merged_with

        def counted(one: CountingWindow, other: CountingWindow) -> CountingWindow:
            nonlocal steps
            steps += 1
            return merged_with(one, other)

        monkeypatch.setattr(CountingWindow, "merged_with", counted)
        self.kept: KeptWindows[CountingWindow] = KeptWindows()
        self.steps: list[int] = []
        self.windows: list[int] = []
        self.bytes: list[int] = []
        for hour in range(24):
            steps = 0
            for number in range(hour * WINDOWS_AN_HOUR, (hour + 1) * WINDOWS_AN_HOUR):
                self.kept.add(window(number * CYCLE_NS, (3, 1)))
            self.steps.append(steps)
            self.windows.append(len(self.kept.all()))
            if hour % 6 == 5:
                self.bytes.append(len(pickle.dumps(self.kept.all())))


@pytest.fixture(scope="module")
def day() -> Day:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return Day(monkeypatch)


def test_after_a_day_there_are_no_more_windows_than_after_an_hour_may_be(day: Day) -> None:
    assert day.kept.seen == 432_000
    assert max(day.windows) <= WHOLE_WINDOWS + MAX_STRETCHES
    assert max(day.bytes) < 1_000_000


def test_keeping_a_window_takes_as_many_steps_at_any_hour(day: Day) -> None:
    # One for each window, and one for every second stretch when all are merged.
    assert max(day.steps[1:]) <= WINDOWS_AN_HOUR + MAX_STRETCHES // 2


def test_the_counters_of_a_day_are_exact(day: Day) -> None:
    assert sum(one.lookups for one in day.kept.all()) == 432_000 * 4
    assert sum(one.open_ns for one in day.kept.all()) == 432_000 * 10 * MS


def test_the_last_windows_are_whole() -> None:
    windows = [window(number * CYCLE_NS, (number,)) for number in range(50)]
    assert kept_of(windows, whole=20, stretches=4).all()[-20:] == tuple(windows[-20:])


def test_stretches_are_of_equal_length() -> None:
    windows = [window(number * CYCLE_NS, (1,)) for number in range(100)]
    merged = [one.lookups for one in kept_of(windows, whole=10, stretches=8).all()[:-10]]
    assert merged == [16, 16, 16, 16, 16, 10]


def test_many_groups_make_fewer_stretches() -> None:
    kept: KeptWindows[CountingWindow] = KeptWindows(
        whole_windows=1, max_stretches=100, max_counts=12
    )
    for number in range(60):
        kept.add(window(number * CYCLE_NS, (1, 1, 1)))
    assert sum(len(one.groups) for one in kept.all()[:-1]) <= 12
    assert sum(one.lookups for one in kept.all()) == 180


def sums(windows: Sequence[CountingWindow]) -> Counter[object]:
    """Return all sums of windows, and the lookups of each group."""
    found: Counter[object] = Counter()
    for one in windows:
        for name in ("open_ns", "cpu_ns", "cost_ns", "cost_before_ns"):
            found[name] += getattr(one, name)
        for group in one.groups:
            found[group.key] += group.lookups
    return found


ANY_WINDOWS = st.lists(
    st.tuples(st.tuples(st.integers(0, 90), st.integers(0, 90)), st.integers(0, 9)), max_size=60
)


@given(ANY_WINDOWS)
def test_sums_are_exact(given_windows: list[tuple[tuple[int, int], int]]) -> None:
    windows = [
        window(number * CYCLE_NS, counts, cost_ms * MS)
        for number, (counts, cost_ms) in enumerate(given_windows)
    ]
    kept = kept_of(windows, whole=3, stretches=4)
    assert sums(kept.all()) == sums(windows)
    for one, following in pairwise(kept.all()):
        assert following.start_ns >= one.end_ns
        assert following.cpu_begin_ns >= one.cpu_end_ns


def poisson(generator: random.Random, mean: float) -> int:
    return sum(generator.random() < mean / 1000 for _ in range(1000))


def changing_load(seed: int) -> tuple[list[CountingWindow], int]:
    """Return 1,200 windows on lookups whose rate has one long wave, and how many there were."""
    generator = random.Random(seed)
    windows, truth = [], 0
    for number in range(1200):
        rate = 20 + 10 * ((number // 300) % 2)
        inside = poisson(generator, rate * 0.9)
        # Our own time is not the target's: 190 ms lie between windows, less what placing took.
        truth += inside + poisson(generator, rate * (190 - 0.2) / 10)
        windows.append(window(number * CYCLE_NS, (inside,)))
    return windows, truth


def totals(windows: Sequence[CountingWindow], cycles: int) -> dict[GroupKey, Total]:
    groups = dict.fromkeys(KEYS[:2], NOTHING_MEASURED)
    return estimate_totals(windows, groups, lambda _: (), Span(0, cycles * CYCLE_NS, 10.0 * MS))


@pytest.mark.parametrize("seed", range(3))
def test_estimates_from_merged_windows_agree(seed: int) -> None:
    windows, truth = changing_load(seed)
    kept = kept_of(windows, whole=50, stretches=60)
    assert len(kept.all()) < 300
    whole = totals(windows, 1200)[KEYS[0]]
    merged = totals(kept.all(), 1200)[KEYS[0]]
    assert whole.variance is not None and merged.variance is not None
    assert abs(merged.total - whole.total) <= 1.96 * whole.variance**0.5
    assert abs(merged.total - truth) <= 3 * merged.variance**0.5
    assert merged.variance**0.5 <= 1.5 * whole.variance**0.5


def test_without_change_merged_windows_say_the_same() -> None:
    windows = [window(number * CYCLE_NS, (200, 100)) for number in range(400)]
    whole, merged = totals(windows, 400), totals(kept_of(windows, 20, 30).all(), 400)
    for key in KEYS[:2]:
        assert merged[key].total == pytest.approx(whole[key].total, rel=1e-3)
