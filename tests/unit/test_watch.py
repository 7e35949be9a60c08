from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace

import pytest

from profiler.observed import WatchedLink
from profiler.watch import Watch
from tests.watch_machine import (
    BUSIEST,
    GROUP,
    HIT_NS,
    KEY,
    LINK,
    NOW,
    SECOND,
    Machine,
    lookups,
    window,
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


@pytest.fixture
def watching(machine: Machine) -> Watch:
    return machine.watching()


def test_without_a_budget_nothing_is_done(machine: Machine) -> None:
    watching = machine.watch(None)
    watching.choose(BUSIEST)
    assert window(watching, 10, lookups(1000)) is None
    assert watching.begin_turn(NOW) is None
    assert watching.links() == ()
    assert (machine.asked, machine.log, machine.open) == ([], [], [])


def test_where_no_lookup_ended_at_a_node_there_is_no_link(machine: Machine) -> None:
    watching = machine.watch()
    watching.choose(None)
    watching.choose((KEY, replace(GROUP, end_node=0)))
    assert (machine.asked, machine.log, machine.open) == ([], [], [])
    machine.link = None
    watching.choose(BUSIEST)
    assert (machine.log, machine.open) == ([], [])
    machine.link = LINK
    watching.choose(BUSIEST)
    assert machine.open == [("CPUs", 0x7000)]


def test_a_link_is_chosen_once(machine: Machine) -> None:
    watching = machine.watch()
    for _ in range(3):
        watching.choose(BUSIEST)
    assert machine.asked == [(0x1000, 0x7200)]
    assert machine.open == [("CPUs", 0x7000)]
    assert watching.links() == (WatchedLink((), HIT_NS),)


def test_a_link_that_is_gone_when_a_turn_begins_gives_way_to_another(
    machine: Machine, watching: Watch
) -> None:
    machine.is_link_there = False
    assert watching.begin_turn(NOW) is None
    assert machine.open == []
    machine.is_link_there = True
    assert watching.begin_turn(NOW) is None
    watching.choose(BUSIEST)
    assert len(machine.asked) == 2
    assert machine.open == [("CPUs", 0x7000)]
    assert len(watching.links()) == 2
    assert window(watching, 10, lookups(1000)) == 1


def test_a_window_whose_link_is_gone_at_its_end_tells_nothing(
    machine: Machine, watching: Watch
) -> None:
    machine.is_link_there = False
    assert window(watching, 10, lookups(1000)) is None
    assert machine.open == []
    assert machine.passing == []
    watching.choose(BUSIEST)
    assert len(machine.asked) == 2


def test_there_is_a_bound_on_links(machine: Machine) -> None:
    watching = machine.watch()
    for _ in range(300):
        machine.is_link_there = True
        watching.choose(BUSIEST)
        machine.is_link_there = False
        watching.begin_turn(NOW)
    assert len(watching.links()) == len(machine.asked) == 256


def begin_window(watching: Watch) -> None:
    watching.begin_window()


def begin_turn(watching: Watch) -> None:
    assert watching.begin_turn(NOW) is None


def nothing(watching: Watch) -> None:
    pass


@pytest.mark.parametrize(
    ("refused", "then"),
    [
        ("hit cost", nothing),
        ("watch CPUs", nothing),
        ("on", begin_window),
        ("watch thread", begin_turn),
    ],
)
def test_where_a_watchpoint_is_refused_none_is_tried_again(
    machine: Machine, refused: str, then: Callable[[Watch], None]
) -> None:
    machine.refusals = {refused: errno.ENOSPC}
    watching = machine.watch()
    watching.choose(BUSIEST)
    then(watching)
    assert machine.log[-1] == refused
    assert machine.open == []
    machine.refusals, machine.log = {}, []
    watching.choose(BUSIEST)
    assert window(watching, 10, lookups(1000)) is None
    assert watching.begin_turn(NOW + SECOND) is None
    assert len(machine.asked) == 1
    assert (machine.log, machine.open) == ([], [])


def test_a_hit_cost_that_is_refused_later_ends_it_too(machine: Machine, watching: Watch) -> None:
    machine.refusals = {"hit cost": errno.ENOSPC}
    assert watching.begin_turn(NOW) is None
    machine.refusals = {}
    watching.choose(BUSIEST)
    assert len(machine.asked) == 1
    assert machine.open == []


def test_windows_are_watched_from_begin_to_leave(machine: Machine, watching: Watch) -> None:
    machine.log.clear()
    watching.begin_window()
    assert machine.log == ["on"]
    watching.leave_window()
    assert machine.log == ["on", "off"]
    assert watching.end_window(10, 10, (lookups(1000),)) == 0
    assert watching.end_window(10, 10, (lookups(1000),)) is None
    watching.leave_window()
    assert machine.log == ["on", "off"]


def test_a_window_before_the_first_link_tells_nothing(machine: Machine) -> None:
    watching = machine.watch()
    watching.begin_window()
    watching.leave_window()
    watching.choose(BUSIEST)
    assert watching.end_window(10, 10, (lookups(1000),)) is None


def test_a_link_that_is_chosen_within_a_window_was_not_watched_in_it(
    machine: Machine, watching: Watch
) -> None:
    watching.begin_window()
    machine.is_link_there = False
    watching.begin_turn(NOW)
    machine.is_link_there = True
    watching.choose(BUSIEST)
    assert watching.end_window(10, 10, (lookups(1000),)) is None


@pytest.mark.parametrize(("hits", "index"), [(100, 0), (101, 0), (102, None), (1000, None)])
def test_hits_that_the_program_did_not_see_tell_nothing(
    machine: Machine, watching: Watch, hits: int, index: int | None
) -> None:
    machine.hits = hits
    watching.begin_window()
    watching.leave_window()
    assert watching.end_window(90, 100, (lookups(1000),)) == index
    assert machine.passing == ([0.09] if index is not None else [])
    assert machine.open == [("CPUs", 0x7000)]


def test_only_lookups_in_its_container_may_pass_a_link(machine: Machine, watching: Watch) -> None:
    assert window(watching, 10, lookups(150), lookups(5000, 0x9000), lookups(100)) == 0
    assert machine.passing == [10 / 250]


def test_few_lookups_do_not_tell_how_many_pass(machine: Machine, watching: Watch) -> None:
    machine.moves = True
    assert window(watching, 199, lookups(199), lookups(5000, 0x9000)) == 0
    assert machine.passing == []
    assert machine.open == [("CPUs", 0x7000)]
    assert window(watching, 200, lookups(200)) == 0
    assert machine.passing == [1.0]


def test_where_too_many_lookups_pass_another_link_is_chosen(
    machine: Machine, watching: Watch
) -> None:
    machine.moves = True
    assert window(watching, 90, lookups(1000)) == 0
    assert machine.open == []
    assert watching.begin_turn(NOW) is None
    watching.choose(BUSIEST)
    assert machine.open == [("CPUs", 0x7000)]
    machine.moves = False
    assert window(watching, 90, lookups(1000)) == 1
    assert machine.passing == [0.09, 0.09]


@pytest.mark.parametrize(("followed", "is_useless"), [(600, False), (601, True)])
def test_where_most_lookups_pass_any_link_none_is_watched(
    machine: Machine, watching: Watch, followed: int, is_useless: bool
) -> None:
    assert window(watching, followed, lookups(1000)) == 0
    assert (machine.open == []) == is_useless
    machine.is_link_there = False
    watching.begin_turn(NOW)
    watching.choose(BUSIEST)
    assert len(machine.asked) == (1 if is_useless else 2)


def test_closing_takes_everything_away(machine: Machine, watching: Watch) -> None:
    watching.begin_window()
    watching.begin_turn(NOW)
    assert len(machine.open) == 2
    watching.close()
    assert machine.open == []
    assert watching.turn_ends_ns is None
    watching.close()
