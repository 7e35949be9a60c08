"""References that are held far longer than others of their kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.leaks import Change, ChangeKind, Fate
from profiler.report.accounts import Account, learn
from profiler.report.histories import History
from profiler.report.overdue import Overdue, find_overdue, use_of
from tests.object_histories import (
    GIVE,
    LET_GO,
    NODE,
    OTHER_GIVE,
    OTHER_TAKE,
    SECOND,
    SITES,
    TAKE,
    changed,
    history,
    moved,
)

MIDDLE_NS = 100 * SECOND


def kept(born_s: float, until_s: float = 200) -> History:
    """A survivor that lacks a release."""
    steps = (changed(born_s, 1, TAKE), changed(born_s + 0.1, -1, LET_GO))
    return history(*steps, born_s=born_s, ended_s=until_s)


def closed(born_s: float, for_s: float) -> History:
    end_s = born_s + for_s
    steps = (changed(born_s, 1, TAKE), changed(end_s, -1, GIVE), changed(end_s, -1, LET_GO))
    return history(*steps, born_s=born_s, ended_s=end_s)


def untaken(born_s: float) -> History:
    return history(changed(born_s + 1, -1, LET_GO), born_s=born_s, ended_s=born_s + 1)


def find(survivors: list[History], others: list[History]) -> tuple[Overdue, ...]:
    histories = [*survivors, *others, untaken(1)]
    return find_overdue(learn(histories, SITES), MIDDLE_NS)


LEAKING = [kept(at) for at in range(0, 170, 10)]
FREED = [closed(at, 1) for at in range(0, 190, 5)]


def test_survivors_are_overdue_that_keep_what_others_gave_back() -> None:
    (overdue,) = find(LEAKING, FREED)
    assert overdue.account == Account(frozenset([TAKE]), frozenset([GIVE]))
    assert len(overdue.agreeing) == overdue.compared == 17
    assert overdue.closed_max_ns == SECOND


@pytest.mark.parametrize(
    ("survivors", "others", "reason"),
    [
        ([kept(at, at + 29) for at in range(0, 170, 10)], FREED, "younger than 30 s"),
        (LEAKING, [closed(at, 120) for at in range(40)], "others are kept as long"),
        (LEAKING[:2], FREED, "two may be by chance"),
        ([kept(at) for at in range(17)], FREED, "nothing of the second half is kept"),
        (LEAKING, FREED[:3], "too few were closed to tell how long it takes"),
        ([], FREED, "nobody is left"),
    ],
)
def test_others_are_not_accused(
    survivors: list[History], others: list[History], reason: str
) -> None:
    assert find(survivors, others) == (), reason


def test_where_none_was_closed_survivors_must_be_old() -> None:
    (overdue,) = find(LEAKING, [])
    assert overdue.closed_max_ns is None
    assert min(opening.open_ns for opening in overdue.agreeing) > 90 * SECOND
    assert len(overdue.agreeing) == 11


def test_what_was_open_when_nobody_looked_was_closed_by_the_end() -> None:
    unseen = [
        replace(one, of=replace(one.of, fate=Fate.FREED, references=None), is_known=False)
        for one in (kept(at, at + 120) for at in range(40))
    ]
    assert find(LEAKING, unseen) == ()


@pytest.mark.parametrize(
    ("then", "container"),
    [
        ((), 0x50),
        ((moved(3, ChangeKind.UNLINK, GIVE), changed(3, -1, NODE)), None),
        ((changed(3, -1, NODE),), None),  # the container has ended
        ((changed(3, -1, OTHER_GIVE),), 0x50),
    ],
)
def test_a_container_holds_what_is_still_in_it(
    then: tuple[Change, ...], container: int | None
) -> None:
    linked = (moved(1, ChangeKind.LINK, TAKE), changed(1, 1, TAKE), changed(2, 1, OTHER_TAKE))
    one = history(*linked, *then)
    account = Account(frozenset([TAKE, OTHER_TAKE]), frozenset())
    assert [opening.container for opening in use_of(account, [one]).openings] == [container]
