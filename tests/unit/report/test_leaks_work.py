"""A report of leaks reads what is long once, however many other things a file holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from profiler.model.leaks import (
    Change,
    ChangeKind,
    FollowedObject,
    LeaksRecording,
    LinkCount,
    ObjectType,
    WatchedContainer,
)
from profiler.model.recording import CallSite, Window
from profiler.report.leaks.leaks_profile import leaks_profile
from profiler.report.references.accounts import Account
from profiler.report.references.holdings import uses_of
from profiler.report.references.overdue import find_overdue
from profiler.report.references.pace import Pace
from profiler.report.references.ways import Way, learn
from tests.leak_examples import ALIVE, RECORDING
from tests.object_histories import PLACES, SITES, TAKE, changed, history

SECOND = 1_000_000_000
MANY = 30


class Counted(tuple):
    """Counts how often it is read from the first item on."""

    reads = 0

    def __iter__(self) -> Iterator[object]:
        type(self).reads += 1
        return super().__iter__()


@pytest.fixture(autouse=True)
def _no_reads() -> None:
    Counted.reads = 0


def survivor(number: int, kind: int, container: int) -> FollowedObject:
    """Return an object that is linked into a container and stays there."""
    born_ns = number * SECOND
    linked = Change(born_ns + 1, ChangeKind.LINK, 0, None, 0, None, 7, container)
    taken = Change(born_ns + 2, ChangeKind.REFERENCE, 1, None, 0, None, 7)
    return replace(
        ALIVE,
        type=kind,
        address=0x1000 * (number + 1),
        born_ns=born_ns,
        ended_ns=300 * SECOND,
        references=2,
        history=Counted((linked, taken)),
    )


def recorded(types: int, containers: int) -> LeaksRecording:
    """Return a recording of so many types that all leak, and containers that all grow."""
    sizes = tuple((at * SECOND, 5 * at) for at in range(300))
    return replace(
        RECORDING,
        window=Window(0, 300 * SECOND),
        sites=tuple(CallSite("a.c", at, f"f{at}") for at in range(types)),
        types=tuple(ObjectType(None, at, 8) for at in range(types)),
        objects=tuple(survivor(at, at % types, at % containers) for at in range(3 * MANY)),
        links=Counted([LinkCount(ChangeKind.LINK, 0, 0, 3)]),
        containers=tuple(
            WatchedContainer(at, "hash", None, None, sizes) for at in range(containers)
        ),
    )


def reads(types: int, containers: int) -> int:
    Counted.reads = 0
    profile = leaks_profile(recorded(types, containers))
    assert (len(profile.suspects), len(profile.containers)) == (types, containers)
    return Counted.reads


def test_histories_and_links_are_read_as_often_for_many_types_and_containers() -> None:
    assert reads(1, 1) == reads(MANY, 1) == reads(1, MANY) == reads(MANY, MANY)


def test_steps_are_read_as_often_for_many_accounts() -> None:
    one = history(changed(1, 1, TAKE))
    one = replace(one, steps=Counted(one.steps))
    accounts = [Account(frozenset([at]), frozenset([at])) for at in range(MANY)]
    uses = uses_of(accounts, [one])
    assert [at for at, use in enumerate(uses) if use.openings] == [TAKE]
    assert Counted.reads == 1


def test_steps_are_read_as_often_where_objects_go_many_ways() -> None:
    account = Account(frozenset([TAKE]), frozenset())
    pace = Pace(300 * SECOND, tuple(range(0, 300 * SECOND, SECOND)), {})
    ways = []
    for _ in range(MANY):
        kept = [history(changed(at, 1, TAKE), born_s=at, ended_s=300) for at in range(2, 300, 9)]
        each = tuple(replace(one, steps=Counted(one.steps)) for one in kept)
        ways.append(Way(0, each, (account,)))
    Counted.reads = 0
    assert len(list(find_overdue(ways, pace))) == MANY
    assert Counted.reads == sum(len(way.histories) for way in ways)


def test_of_ways_that_differ_those_of_most_objects_are_kept() -> None:
    freed = history(changed(1, -1, TAKE), ended_s=1)
    alive = [
        history(*(changed(2, -2, at) for at in range(len(SITES)) if bits >> at & 1), ended_s=100)
        for bits in range(1, 256)
    ]
    ways = learn([freed, *alive, alive[-1]], PLACES)
    assert len(ways) == 1 + 100
    assert max(len(way.histories) for way in ways[1:]) == 2
