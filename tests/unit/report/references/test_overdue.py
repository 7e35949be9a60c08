"""References that are held far longer than others of their kind."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.leaks import ChangeKind, Fate
from profiler.report.references.accounts import Account
from profiler.report.references.histories import History
from profiler.report.references.overdue import Overdue, find_overdue
from profiler.report.references.pace import Pace
from profiler.report.references.ways import learn
from tests.object_histories import (
    GIVE,
    LET_GO,
    NODE,
    OTHER_GIVE,
    OTHER_TAKE,
    PLACES,
    SECOND,
    TAKE,
    changed,
    history,
    moved,
)

PACE = Pace(200 * SECOND, tuple(range(0, 200 * SECOND, SECOND)), {})


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


def find(survivors: list[History], others: list[History], pace: Pace = PACE) -> tuple[Overdue, ...]:
    histories = [*survivors, *others, untaken(1)]
    return tuple(find_overdue(learn(histories, PLACES), pace))


def linked(
    born_s: float, container: int, ended_s: float | None = None, step_s: float = 0.1
) -> History:
    """An object in a container, which is taken out of it if it ends."""
    steps = [moved(born_s, ChangeKind.LINK, TAKE, container), changed(born_s, 1, TAKE)]
    steps.append(changed(born_s + step_s, -1, LET_GO))
    if ended_s is not None:
        steps += [moved(ended_s, ChangeKind.UNLINK, GIVE, container), changed(ended_s, -1, NODE)]
    return history(*steps, born_s=born_s, ended_s=ended_s or 200)


def sized(container: int, *elements: int) -> Pace:
    """Return the pace with a container that has so many elements every 10 s."""
    return replace(
        PACE, sizes={container: tuple((at * 10 * SECOND, n) for at, n in enumerate(elements))}
    )


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
        ([kept(at) for at in range(130)], FREED, "nothing of the last third is kept"),
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


IN_A = [linked(at, 0xA) for at in range(0, 170, 10)]
GROWING_A = sized(0xA, *range(0, 200, 10))


def test_what_a_container_keeps_is_compared_with_what_it_let_go() -> None:
    let_go = [linked(at, 0xA, at + 1) for at in range(0, 190, 5)]
    (overdue,) = find(IN_A, let_go, GROWING_A)
    assert (len(overdue.agreeing), overdue.closed_max_ns) == (17, SECOND)


def test_what_another_container_let_go_tells_nothing() -> None:
    let_go = [linked(at, 0xB, at + 1) for at in range(0, 190, 5)]
    (overdue,) = find(IN_A, let_go, GROWING_A)
    assert overdue.closed_max_ns is None
    assert min(opening.open_ns for opening in overdue.agreeing) > 90 * SECOND


def test_a_container_that_does_not_grow_in_the_last_third_keeps_by_design() -> None:
    let_go = [linked(at, 0xA, at + 1) for at in range(0, 190, 5)]
    level = sized(0xA, *range(0, 120, 10), *[120] * 8)
    assert find(IN_A, let_go, level) == ()
    assert find(IN_A, let_go) == ()


EARLY = [kept(at) for at in range(0, 120, 2)]


def otherwise(born_s: float) -> History:
    """A survivor that takes the same, and gives back where none of the freed ones did."""
    return history(
        changed(born_s, 1, TAKE),
        changed(born_s + 0.1, 1, OTHER_TAKE),
        changed(born_s + 0.2, -1, OTHER_GIVE),
        born_s=born_s,
        ended_s=200,
    )


def test_what_goes_on_by_another_way_has_not_ended() -> None:
    assert find(EARLY, FREED) == ()
    (overdue,) = find([*EARLY, *map(otherwise, range(120, 200, 2))], FREED)
    assert len(overdue.agreeing) == len(EARLY)
    assert overdue.compared == len(EARLY) + 25


def test_what_others_gave_back_by_another_way_is_an_example() -> None:
    leaking = [otherwise(at) for at in range(0, 200, 5)]
    found = find(leaking, FREED)
    by_way = {one.closed: one.examples for one in found if TAKE in one.account.takes}
    account = Account(frozenset([TAKE]), frozenset([GIVE]))
    assert [one for one, _ in by_way[()]].count(account) == len(FREED)
