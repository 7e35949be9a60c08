"""When links are counted, and what that is charged; on a simulated target."""

from __future__ import annotations

import errno
from collections.abc import Set
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.links import windows
from profiler.links.windows import MAX_CONTAINERS, LinkWindows
from profiler.model.observed import Calibration
from profiler.windows.budget import Governor
from profiler.windows.costs import PLACING_NS
from profiler.wire.links import LinkState

SECOND_NS = 1_000_000_000
TRAP_NS = 700


class Target:
    """Programs and a probe that only note what is asked of them."""

    def __init__(self) -> None:
        self.now_ns = SECOND_NS
        self.placed = False
        self.allowance_ns = 0
        self.known = LinkState()
        self.watched: set[int] = set()
        self.refusal = 0

    def monotonic_ns(self) -> int:
        return self.now_ns

    def attach(self, pid: int) -> None:
        if self.refusal:
            raise OSError(self.refusal, "refused")
        assert pid == 7
        self.placed = True

    def detach(self) -> None:
        self.placed = False

    def watch(self, containers: Set[int]) -> None:
        self.watched |= containers

    def control(self, allowance_ns: int, event_ns: int, unwind_ns: int) -> None:
        self.allowance_ns = allowance_ns

    def state(self) -> LinkState:
        return self.known

    def run_time_ns(self) -> int:
        return 0


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Target:
    made = Target()
    monkeypatch.setattr(windows, "time", made)
    return made


def counting(target: Target, ratio: float | None) -> tuple[LinkWindows, Governor]:
    governor = Governor(ratio, target.now_ns, draw=lambda: 0.5)
    programs: Any = target
    process: Any = SimpleNamespace(pid=7)
    return LinkWindows(programs, process, governor, Calibration(TRAP_NS, 7_000, 1_000)), governor


def run_for(target: Target, counted: LinkWindows, duration_ns: int) -> None:
    until_ns = target.now_ns + duration_ns
    while target.now_ns < until_ns:
        due_ns = counted.step(target.now_ns)
        target.now_ns = min(max(due_ns, target.now_ns + 1), until_ns)


def test_who_has_nothing_that_grows_pays_nothing(target: Target) -> None:
    counted, governor = counting(target, None)
    run_for(target, counted, 5 * SECOND_NS)
    assert not target.placed and not counted.is_open
    counted.close()
    assert (governor.spent_ns, counted.covered_ns) == (0, 0)


def test_once_something_grows_links_are_counted(target: Target) -> None:
    counted, _ = counting(target, None)
    counted.watch({0x1000})
    run_for(target, counted, 5 * SECOND_NS)
    assert target.placed and target.allowance_ns and target.watched == {0x1000}
    counted.close()
    assert not target.placed and not target.allowance_ns
    assert counted.covered_ns == 5 * SECOND_NS


def test_a_window_closes_when_its_allowance_is_spent(target: Target) -> None:
    counted, governor = counting(target, 0.01)
    counted.watch({0x1000})
    while not counted.is_open:
        run_for(target, counted, SECOND_NS // 10)
    target.known = target.known._replace(events=5_000, used_up_ns=target.allowance_ns)
    target.now_ns = counted.step(target.now_ns)
    assert not counted.is_open and not target.placed
    assert governor.spent_ns == 5_000 * TRAP_NS + PLACING_NS


def test_within_its_share_it_stays_open(target: Target) -> None:
    counted, governor = counting(target, 0.01)
    counted.watch({0x1000})
    run_for(target, counted, 20 * SECOND_NS)
    assert counted.is_open
    before_ns = governor.spent_ns
    target.known = target.known._replace(events=10)
    run_for(target, counted, SECOND_NS)
    assert counted.is_open
    assert governor.spent_ns - before_ns == 10 * TRAP_NS


def test_what_cannot_be_placed_is_said_once(target: Target) -> None:
    counted, _ = counting(target, None)
    target.refusal = errno.EPERM
    counted.watch({0x1000})
    run_for(target, counted, SECOND_NS)
    assert counted.problem == "who links into containers is not seen: refused"


def test_a_target_that_ends_is_no_problem(target: Target) -> None:
    counted, _ = counting(target, None)
    target.refusal = errno.ESRCH
    counted.watch({0x1000})
    run_for(target, counted, SECOND_NS)
    assert counted.problem is None and not counted.is_open


def test_no_more_containers_are_watched_than_there_is_room_for(target: Target) -> None:
    counted, _ = counting(target, None)
    counted.watch(set(range(1, 50)))
    counted.watch(set(range(1, 500)))
    assert len(target.watched) == MAX_CONTAINERS
