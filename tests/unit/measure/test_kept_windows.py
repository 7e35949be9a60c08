"""Windows of a long run: what is kept stays small, and says the same."""

from __future__ import annotations

import pickle
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.estimate.totals import estimate_totals
from profiler.measure.kept_windows import MAX_STRETCHES, WHOLE_WINDOWS, KeptWindows, Stretch
from profiler.model.observed import GroupWindow, MeasuredWindow
from profiler.model.recording import ProbeWindow
from profiler.wire.lookups import Group, GroupKey, Verdict

MS = 1_000_000
CYCLE_NS = 200 * MS
WINDOWS_AN_HOUR = 3_600_000 * MS // CYCLE_NS
KEYS = tuple(GroupKey(0x1000, 0x2000, 0x3000, 0x4000, line, 64, 0) for line in (5, 6, 7))
COUNTED_KEYS = tuple(replace(key, comparator=0) for key in KEYS)
NO_GROUP = Group(1, 2, (0,) * len(Verdict), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def window(
    begin_ns: int, counts: Sequence[int], cost_ns: int = MS, is_counting: bool = False
) -> MeasuredWindow:
    """Return a window of 10 ms; the target has one thread that always runs."""
    keys = COUNTED_KEYS if is_counting else KEYS
    end_ns, lookups = begin_ns + 10 * MS, sum(counts)
    return MeasuredWindow(
        window=ProbeWindow(begin_ns, end_ns, lookups, cost_ns + MS // 5),
        groups=tuple(
            GroupWindow(key, count) for key, count in zip(keys, counts, strict=False) if count
        ),
        is_counting=is_counting,
        cpu_begin_ns=begin_ns,
        cpu_end_ns=end_ns,
        cpu_ns=10 * MS,
        cost_ns=cost_ns,
        admitted=0 if is_counting else lookups,
        refused=0,
        entry_count=lookups if is_counting else 0,
    )


def open_ns(one: MeasuredWindow) -> int:
    return one.window.end_ns - one.window.start_ns


def kept_of(windows: Sequence[MeasuredWindow], whole: int, stretches: int) -> KeptWindows:
    kept = KeptWindows(whole, stretches)
    for one in windows:
        kept.add(one)
    return kept


class Day:
    """24 hours of windows, all kinds in turn, and what keeping them took in each hour."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        steps = 0
        add = Stretch.add

        def counted(stretch: Stretch, window: MeasuredWindow) -> None:
            nonlocal steps
            steps += 1
            add(stretch, window)

        monkeypatch.setattr(Stretch, "add", counted)
        sorts = [(1, False), (1, True), (5, False), (5, True)]
        self.kept = KeptWindows()
        self.steps: list[int] = []
        self.windows: list[int] = []
        self.bytes: list[int] = []
        for hour in range(24):
            steps = 0
            for number in range(hour * WINDOWS_AN_HOUR, (hour + 1) * WINDOWS_AN_HOUR):
                cost_ms, is_counting = sorts[number % 4]
                self.kept.add(window(number * CYCLE_NS, (3, 1), cost_ms * MS, is_counting))
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
    assert max(day.windows) <= WHOLE_WINDOWS + 4 * MAX_STRETCHES
    assert max(day.bytes) < 1_000_000


def test_keeping_a_window_takes_as_many_steps_at_any_hour(day: Day) -> None:
    # One for each window, and up to four for every second stretch when all are merged.
    assert max(day.steps[1:]) <= WINDOWS_AN_HOUR + 4 * MAX_STRETCHES // 2


def test_the_counters_of_a_day_are_exact(day: Day) -> None:
    assert day.kept.admitted == 432_000 // 2 * 4
    assert sum(one.merged for one in day.kept.all()) == 432_000
    assert sum(open_ns(one) for one in day.kept.all()) == 432_000 * 10 * MS


def test_the_last_windows_are_whole() -> None:
    windows = [window(number * CYCLE_NS, (number,)) for number in range(50)]
    assert kept_of(windows, whole=20, stretches=4).all()[-20:] == tuple(windows[-20:])


def test_stretches_are_of_equal_length() -> None:
    windows = [window(number * CYCLE_NS, (number,)) for number in range(100)]
    merged = [one.merged for one in kept_of(windows, whole=10, stretches=8).all()[:-10]]
    assert merged == [16, 16, 16, 16, 16, 10]


def test_many_groups_make_fewer_stretches() -> None:
    kept = KeptWindows(whole_windows=1, max_stretches=100, max_counts=12)
    for number in range(60):
        kept.add(window(number * CYCLE_NS, (1, 1, 1)))
    assert sum(len(one.groups) for one in kept.all()[:-1]) <= 12
    assert sum(one.merged for one in kept.all()) == 60


def sums(windows: Sequence[MeasuredWindow]) -> Counter[object]:
    """Return all sums of windows by their sort, and the lookups of each group."""
    found: Counter[object] = Counter()
    for one in windows:
        sort = (one.is_counting, one.is_overhead_dominated)
        for name in ("merged", "cpu_ns", "cost_ns", "admitted", "refused", "entry_count"):
            found[sort, name] += getattr(one, name)
        found[sort, "open_ns"] += open_ns(one)
        for name in ("fired", "cost_ns"):
            found[sort, "window", name] += getattr(one.window, name)
        for group in one.groups:
            found[sort, group.key] += group.measured
    return found


ANY_WINDOWS = st.lists(
    st.tuples(st.tuples(st.integers(0, 90), st.integers(0, 90)), st.integers(0, 9), st.booleans()),
    max_size=60,
)


@given(ANY_WINDOWS)
def test_sums_are_exact(given_windows: list[tuple[tuple[int, int], int, bool]]) -> None:
    windows = [
        window(number * CYCLE_NS, counts, cost_ms * MS, is_counting)
        for number, (counts, cost_ms, is_counting) in enumerate(given_windows)
    ]
    kept = kept_of(windows, whole=3, stretches=4)
    assert sums(kept.all()) == sums(windows)
    snapshots = [(one.cpu_begin_ns, one.cpu_end_ns) for one in kept.all()]
    for (begin, end), following in pairwise(snapshots):
        assert following == (begin, end) or following[0] >= end


def poisson(generator: random.Random, mean: float) -> int:
    return sum(generator.random() < mean / 1000 for _ in range(1000))


def changing_load(seed: int, costs: Sequence[tuple[int, bool]]) -> tuple[list[MeasuredWindow], int]:
    """Return 1,200 windows on lookups whose rate has one long wave, and how many there were."""
    generator = random.Random(seed)
    windows, truth = [], 0
    for number in range(1200):
        rate = 20 + 10 * ((number // 300) % 2)
        cost_ms, is_counting = costs[number % len(costs)]
        inside = poisson(generator, rate * (10 - cost_ms) / 10)
        # Our own time is not the target's: 190 ms lie between windows, less what placing took.
        truth += inside + poisson(generator, rate * (190 - 0.2) / 10)
        windows.append(window(number * CYCLE_NS, (inside,), cost_ms * MS, is_counting))
    return windows, truth


@pytest.mark.parametrize(
    "costs",
    [
        [(1, False)],
        [(1, False), (1, True)],
        [(5, False), (1, True), (1, True)],
        [(1, False), (5, False), (1, True), (1, False)],
    ],
    ids=["measured", "both kinds", "only counted ones are good", "changing"],
)
@pytest.mark.parametrize("seed", range(3))
def test_estimates_from_merged_windows_agree(seed: int, costs: list[tuple[int, bool]]) -> None:
    windows, truth = changing_load(seed, costs)
    kept = kept_of(windows, whole=50, stretches=60)
    assert len(kept.all()) < 300
    groups, end_ns = {KEYS[0]: NO_GROUP}, 1200 * CYCLE_NS
    whole = estimate_totals(windows, groups, 0, end_ns)[KEYS[0]]
    merged = estimate_totals(kept.all(), groups, 0, end_ns)[KEYS[0]]
    assert whole.variance is not None and merged.variance is not None
    assert abs(merged.total - whole.total) <= 1.96 * whole.variance**0.5
    assert abs(merged.total - truth) <= 3 * merged.variance**0.5
    assert merged.variance**0.5 <= 1.5 * whole.variance**0.5


def test_without_change_merged_windows_say_the_same() -> None:
    windows = [window(number * CYCLE_NS, (200, 100)) for number in range(400)]
    groups, end_ns = dict.fromkeys(KEYS[:2], NO_GROUP), 400 * CYCLE_NS
    whole = estimate_totals(windows, groups, 0, end_ns)
    merged = estimate_totals(kept_of(windows, 20, 30).all(), groups, 0, end_ns)
    for key in groups:
        assert merged[key].total == pytest.approx(whole[key].total, rel=1e-5)
