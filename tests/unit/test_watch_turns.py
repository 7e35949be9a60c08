from __future__ import annotations

import errno

import pytest

from profiler.busy_threads import Drawn
from profiler.observed import Turn, WatchedLink
from profiler.watch import Watch
from tests.watch_machine import (
    ARMING_NS,
    BUSIEST,
    HIT_NS,
    MS,
    NOW,
    SECOND,
    SWITCH_NS,
    Machine,
    turn,
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.fixture
def watching(machine: Machine) -> Watch:
    return machine.watching()


def test_a_thread_that_has_ended_does_not_end_it(machine: Machine, watching: Watch) -> None:
    machine.refusals = {"watch thread": errno.ESRCH}
    assert watching.begin_turn(NOW) is None
    assert watching.turn_ends_ns is None
    machine.refusals = {}
    assert machine.open == [("CPUs", 0x7000)]
    assert watching.begin_turn(NOW + SECOND - 1) is None
    assert watching.begin_turn(NOW + SECOND) is not None
    assert machine.open == [("CPUs", 0x7000), ("thread 7", 0x7000)]
    watching.close()


def test_as_long_as_no_thread_is_known_one_is_drawn_each_second(
    machine: Machine, watching: Watch
) -> None:
    machine.thread = None
    assert watching.begin_turn(NOW) is None
    machine.thread = Drawn(7, 1.0)
    assert watching.begin_turn(NOW + SECOND - 1) is None
    assert watching.begin_turn(NOW + SECOND) is not None
    watching.end_turn(NOW + SECOND)


@pytest.mark.parametrize(
    ("known", "cpu_ratio", "length_ns"),
    [
        (None, 1.0, 4 * MS),
        (None, 0.5, 8 * MS),
        (None, 0.01, 50 * MS),
        (None, 1.3, 4 * MS),
        ((0, 60 * MS), 1.0, 4 * MS),
        ((60, 60 * MS), 1.0, 30 * MS),  # 30 hits, then
        ((60, 60 * MS), 0.75, 40 * MS),
        ((60, 60 * MS), 0.5, 50 * MS),
        ((10, 60 * MS), 1.0, 50 * MS),
        ((100, 4 * MS), 0.5, 8 * MS),
    ],
)
def test_turns_are_as_long_as_it_takes(
    machine: Machine,
    watching: Watch,
    known: tuple[int, int] | None,
    cpu_ratio: float,
    length_ns: int,
) -> None:
    if known is not None:
        turn(watching, machine, known)
    machine.thread = Drawn(7, cpu_ratio)
    machine.clock_ns = NOW + 9 * SECOND + 123
    until_ns = watching.begin_turn(NOW + 9 * SECOND)
    assert until_ns == watching.turn_ends_ns == machine.clock_ns + length_ns
    watching.end_turn(NOW)
    assert watching.turn_ends_ns is None


def test_all_turns_of_the_link_tell_how_long_the_next_one_takes(
    machine: Machine, watching: Watch
) -> None:
    turn(watching, machine, (5, 10 * MS))
    turn(watching, machine, (40, 20 * MS), NOW + SECOND)
    assert watching.begin_turn(NOW + 9 * SECOND) == NOW + 20 * MS
    watching.end_turn(NOW)


def test_what_a_turn_finds_and_costs(machine: Machine, watching: Watch) -> None:
    machine.switches = [1000, 1003]
    assert turn(watching, machine, (17, 3 * MS)) == 17 * HIT_NS + 3 * SWITCH_NS + ARMING_NS
    assert watching.links() == (WatchedLink((Turn(17, 3 * MS, 3),), HIT_NS),)
    assert machine.open == [("CPUs", 0x7000)]


def test_the_switches_of_a_thread_that_ends_meanwhile_are_unknown(
    machine: Machine, watching: Watch
) -> None:
    machine.switches = [1000, 0]
    assert turn(watching, machine, (17, 3 * MS)) == 17 * HIT_NS + ARMING_NS
    assert watching.links()[0].turns == (Turn(17, 3 * MS, 0),)


def test_a_turn_whose_link_is_gone_costs_and_tells_nothing(
    machine: Machine, watching: Watch
) -> None:
    machine.counted = (17, 3 * MS)
    watching.begin_turn(NOW)
    machine.is_link_there = False
    assert watching.end_turn(NOW) == 17 * HIT_NS + ARMING_NS
    assert watching.links() == (WatchedLink((), HIT_NS),)
    assert machine.open == []


@pytest.mark.parametrize("budget_ratio", [0.01, 0.05])
def test_the_next_turn_waits_until_their_share_of_the_budget_is_kept(
    machine: Machine, budget_ratio: float
) -> None:
    watching = machine.watch(budget_ratio)
    watching.choose(BUSIEST)
    machine.counted = (40, 4 * MS)
    watching.begin_turn(NOW)
    end_ns = NOW + 5 * MS
    cost_ns = watching.end_turn(end_ns)
    assert cost_ns == 40 * HIT_NS + ARMING_NS
    next_ns = end_ns + round(10 * cost_ns / budget_ratio)
    assert watching.begin_turn(next_ns - 1) is None
    assert watching.begin_turn(next_ns) is not None
    watching.close()


def test_a_hit_costs_what_it_does_at_best(machine: Machine) -> None:
    machine.hit_costs = [9_000.0, 8_000.0, 30_000.0, 8_500.0]
    watching = machine.watch()
    assert watching.hit_ns == 0
    watching.choose(BUSIEST)
    assert watching.hit_ns == 9_000
    for index in range(3):
        turn(watching, machine, (0, 4 * MS), NOW + 10 * index * SECOND)
    assert watching.hit_ns == 8_000
