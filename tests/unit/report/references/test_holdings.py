"""For how long references are held, and by which containers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.leaks import Change, ChangeKind, Fate
from profiler.report.references.accounts import Account
from profiler.report.references.histories import History
from profiler.report.references.holdings import Holding, comparable
from tests.object_histories import (
    GIVE,
    NODE,
    OTHER_GIVE,
    OTHER_TAKE,
    SECOND,
    TAKE,
    changed,
    history,
    moved,
    use_of,
)

ACCOUNT = Account(frozenset([TAKE]), frozenset([GIVE]))


def times(one: History) -> list[tuple[float, float | None]]:
    """Return in seconds since when and until when the account was open."""
    use = use_of(ACCOUNT, [one])
    return [
        (held.since_ns / SECOND, None if held.until_ns is None else held.until_ns / SECOND)
        for held in (*use.closed, *use.openings)
    ]


def test_an_account_may_be_open_several_times() -> None:
    pair = (changed(1, 1, TAKE), changed(2, -1, GIVE))
    one = history(*pair, changed(5, 1, TAKE), changed(6, 1, TAKE), changed(7, -1, GIVE))
    assert times(one) == [(1, 2), (5, None)]


def test_what_ends_before_it_begins_was_open_for_no_time() -> None:
    use = use_of(ACCOUNT, [history(changed(5, 1, TAKE), changed(2, -1, GIVE))])
    assert [held.open_ns for held in use.closed] == [0]


def test_what_was_open_when_nobody_looked_was_closed_by_the_end() -> None:
    one = history(changed(1, 1, TAKE), ended_s=9)
    freed = replace(one, of=replace(one.of, fate=Fate.FREED, references=None), is_known=False)
    assert times(freed) == [(1, 9)]


def test_of_survivors_with_unknown_histories_nothing_is_open() -> None:
    assert times(replace(history(changed(1, 1, TAKE)), is_known=False)) == []


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


def test_what_is_compared_was_in_the_same_container() -> None:
    def linked(container: int | None, *, is_open: bool = True) -> Holding:
        return Holding(history(), 0, None if is_open else SECOND, container)

    use = replace(
        use_of(ACCOUNT, []),
        openings=(linked(None), linked(0xA), linked(0xB)),
        closed=(linked(0xA, is_open=False), linked(0xC, is_open=False)),
    )
    found = [
        ([one.container for one in part.openings], [one.container for one in part.closed])
        for part in comparable(use)
    ]
    assert found == [([None], [0xA, 0xC]), ([0xA], [0xA]), ([0xB], [])]
