"""When entries are counted, and what is noted of it; on a simulated target."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.counting import entry_counter
from profiler.counting.entry_counter import EntryCounter
from profiler.linux.realtime import RealtimePriority
from profiler.model.observed import GroupCount
from profiler.windows.budget import MAX_WINDOW_NS, Governor
from profiler.windows.costs import PLACING_NS
from profiler.wire.lookups import CountingControl, CountingState, GroupKey

SECOND_NS = 1_000_000_000
KEY = GroupKey(1, 0, 3, 4, 5, 0, 0)


class Target:
    """A target whose lookups cost what they are told to."""

    def __init__(self) -> None:
        self.now_ns = SECOND_NS
        self.placed = False
        self.control = CountingControl(False, 0, 0)
        self.state = CountingState(0, 0, 0, 0)
        self.new = 0
        self.edges: list[str] = []

    def monotonic_ns(self) -> int:
        return self.now_ns

    def count(self, points: object, pid: int) -> None:
        assert (points, pid) == ((), 7)
        self.placed = True

    def stop_counting(self) -> None:
        assert not self.control.is_open  # nothing is counted while the probes go
        self.placed = False

    def get(self, _key: bytes) -> bytes:
        return self.state.encode()

    def set(self, _key: bytes, value: bytes) -> None:
        self.control = CountingControl.decode(value)

    def read_ns(self) -> int:
        return self.now_ns // 2

    def read_exactly_ns(self) -> int:
        self.edges.append("open" if self.control.is_open else "closed")
        return self.read_ns()

    def spend(self, spent_ns: int, lookups: int) -> None:
        """Let lookups begin that cost so much."""
        spent_ns += self.state.spent_ns
        used_up_ns = self.control.allowance_ns if spent_ns > self.control.allowance_ns else 0
        self.state = CountingState(spent_ns, spent_ns, used_up_ns, 3)
        self.new += lookups

    def entry_counts(self) -> tuple[GroupCount, ...]:
        new, self.new = self.new, 0
        return (GroupCount(KEY, new),) if new else ()


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    made = Target()
    monkeypatch.setattr(entry_counter, "time", made)
    yield made
    assert not made.placed


def counter(target: Target, governor: Governor) -> EntryCounter:
    programs: Any = SimpleNamespace(
        module=SimpleNamespace(map=lambda _name: target),
        counting_program=SimpleNamespace(statistics=lambda: SimpleNamespace(run_time_ns=0)),
        count=target.count,
        stop_counting=target.stop_counting,
    )
    process: Any = SimpleNamespace(pid=7, clock=target)
    counts: Any = target
    return EntryCounter(programs, (), process, counts, governor, RealtimePriority())


def governor(ratio: float | None = 0.01) -> Governor:
    return Governor(ratio, 0, lambda: 0.0)


def test_few_lookups_are_counted_all_the_time_and_noted_in_parts(target: Target) -> None:
    one = counter(target, governor())
    for _ in range(20):
        target.now_ns = one.step(target.now_ns, may_open=True)
        target.spend(1_000, lookups=1)
    one.close()
    windows = one.windows.all()
    assert sum(window.lookups for window in windows) == 20
    assert [window.open_ns // SECOND_NS for window in windows[:-1]] == [2, 2]
    pairs = zip(windows, windows[1:], strict=False)
    assert all(later.start_ns == earlier.end_ns for earlier, later in pairs)
    assert target.edges == ["closed", "open"]  # read before the first and before the last is set


def test_it_is_closed_when_its_share_is_spent_and_opened_again(target: Target) -> None:
    whole = governor()
    one = counter(target, whole)
    until_ns = one.step(target.now_ns, may_open=True)
    assert until_ns == target.now_ns + MAX_WINDOW_NS
    target.spend(10_000_000, lookups=9_000)
    target.now_ns += 5_000_000
    assert one.step(target.now_ns, may_open=True) == target.now_ns
    assert not (one.is_open or target.placed)
    assert whole.probes_ns == 10_000_000 + PLACING_NS
    # Half of 0.4 % of a CPU flows in: it takes seconds to pay for that.
    again_ns = one.step(target.now_ns, may_open=True)
    assert again_ns - target.now_ns > 2 * SECOND_NS
    target.now_ns = again_ns + 3 * SECOND_NS
    one.step(target.now_ns, may_open=True)
    assert one.is_open
    one.close()
    (burst, _) = one.windows.all()
    assert (burst.lookups, burst.cost_ns) == (9_000, 10_000_000)


def test_beside_a_window_that_needs_the_whole_budget_it_does_not_begin(target: Target) -> None:
    one = counter(target, governor())
    assert one.step(target.now_ns, may_open=False) > target.now_ns
    assert not one.is_open


def test_what_a_window_that_measures_costs_is_in_a_part_of_its_own(target: Target) -> None:
    whole = governor()
    one = counter(target, whole)
    one.step(target.now_ns, may_open=True)
    for cost_ns in (0, 700, 0):
        target.now_ns += 10_000_000
        whole.charge(cost_ns)
        one.mark()
    one.close()
    assert [window.cost_ns for window in one.windows.all()] == [0, 700, 0, 0]


def test_without_a_budget_it_stays_open(target: Target) -> None:
    one = counter(target, governor(None))
    for _ in range(10):
        target.now_ns = one.step(target.now_ns, may_open=True)
        target.spend(SECOND_NS, lookups=1)
    assert one.is_open
    assert one.lost == 3
    one.close()
    one.close()  # which does no harm


def test_without_a_budget_it_opens_whatever_was_charged_before(target: Target) -> None:
    unlimited = governor(None)
    unlimited.charge_sampling(6_000, target.now_ns)
    one = counter(target, unlimited)
    one.step(target.now_ns, may_open=True)
    assert one.is_open
    one.close()


def test_what_closing_costs_is_kept_for_the_next_time(target: Target) -> None:
    one = counter(target, governor(0.1))
    first_ns = one.step(target.now_ns, may_open=True) and target.control.allowance_ns
    target.spend(first_ns + 5_000_000, lookups=1)
    one.step(target.now_ns, may_open=True)
    target.now_ns += 10 * SECOND_NS
    one.step(target.now_ns, may_open=True)
    allowed_ns = target.control.allowance_ns - target.state.spent_ns
    assert allowed_ns < first_ns - 3_000_000
    one.close()


def test_it_ends_when_others_have_overdrawn_the_budget(target: Target) -> None:
    whole = governor()
    one = counter(target, whole)
    target.now_ns = one.step(target.now_ns, may_open=True)
    whole.charge(20_000_000)
    one.step(target.now_ns, may_open=True)
    assert not one.is_open


def test_abort_takes_the_probes_away(target: Target) -> None:
    one = counter(target, governor())
    one.step(target.now_ns, may_open=True)
    target.control = CountingControl(False, 0, 0)
    one.abort()
