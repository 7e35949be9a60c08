"""Which objects go alike, and in which accounts their references are."""

from __future__ import annotations

import pytest

from profiler.model.leaks import ChangeKind
from profiler.report.references.accounts import Account
from profiler.report.references.histories import BIRTH, History
from profiler.report.references.places import Places
from profiler.report.references.ways import learn
from tests.object_histories import (
    BOTH_GIVE,
    BOTH_TAKE,
    GIVE,
    LET_GO,
    NODE,
    OTHER_GIVE,
    OTHER_TAKE,
    PLACES,
    SITES,
    TAKE,
    changed,
    history,
    moved,
)


def pair(take: int, give: int) -> Account:
    return Account(frozenset([take]), frozenset([give]))


def freed(*places: tuple[int, int], kind: int = 0) -> History:
    """An object that was taken and given back at these places, and then let go."""
    changes = [
        change
        for at, (take, give) in enumerate(places)
        for change in (changed(1 + at, 1, take), changed(1.5 + at, -1, give))
    ]
    return history(*changes, changed(50, -1, LET_GO), ended_s=50, kind=kind)


def accounts(*histories: History, kind: int = 0) -> set[Account]:
    learnt = [one for one in learn(histories, PLACES) if one.type == kind]
    return {account for one in learnt for account in one.accounts}


def test_places_that_are_even_in_all_objects_belong_together() -> None:
    found = accounts(freed((TAKE, GIVE)), freed((OTHER_TAKE, OTHER_GIVE)), freed())
    assert found == {pair(TAKE, GIVE), pair(OTHER_TAKE, OTHER_GIVE), pair(BIRTH, LET_GO)}


def test_what_is_alike_in_each_object_of_a_type_is_told_apart_by_other_types() -> None:
    same = freed((TAKE, GIVE), (OTHER_TAKE, OTHER_GIVE))
    assert len(accounts(same)) == 1
    found = accounts(same, freed((TAKE, GIVE), kind=1), freed(kind=2))
    assert found == {pair(TAKE, GIVE), pair(OTHER_TAKE, OTHER_GIVE), pair(BIRTH, LET_GO)}


def test_what_is_alike_is_told_apart_by_function() -> None:
    assert accounts(freed((BOTH_TAKE, BOTH_GIVE))) == {
        pair(BOTH_TAKE, BOTH_GIVE),
        pair(BIRTH, LET_GO),
    }


def test_one_place_may_be_followed_by_one_of_several() -> None:
    found = accounts(freed((TAKE, GIVE)), freed((TAKE, OTHER_GIVE)), freed())
    both = Account(frozenset([TAKE]), frozenset([GIVE, OTHER_GIVE]))
    assert found == {both, pair(BIRTH, LET_GO)}


def test_a_take_that_no_freed_object_has_is_an_account_of_its_own() -> None:
    survivor = history(changed(1, 1, TAKE), changed(2, -1, LET_GO))
    assert Account(frozenset([TAKE]), frozenset()) in accounts(survivor, freed())


def test_a_survivor_that_gives_back_elsewhere_is_of_another_way() -> None:
    survivor = history(changed(1, 1, TAKE), changed(2, -1, OTHER_GIVE))
    alike, other = learn([survivor, freed((TAKE, GIVE)), freed()], PLACES)
    assert survivor not in alike.histories
    assert other.histories == (survivor,)
    assert other.accounts == (Account(frozenset([BIRTH, TAKE]), frozenset([OTHER_GIVE])),)


def test_of_another_way_what_a_container_took_is_told_apart() -> None:
    survivor = history(
        moved(1, ChangeKind.LINK, TAKE),
        changed(1, 1, TAKE),
        changed(2, 1, OTHER_TAKE),
        changed(3, -1, NODE),
        changed(4, -1, OTHER_GIVE),
    )
    _, other = learn([survivor, freed()], PLACES)
    rest = Account(frozenset([BIRTH, OTHER_TAKE]), frozenset([OTHER_GIVE]))
    assert set(other.accounts) == {pair(TAKE, NODE), rest}


@pytest.mark.parametrize(
    ("places", "take", "give"),
    [(PLACES, BOTH_TAKE, BOTH_GIVE), (Places(SITES, {"give": "take"}), TAKE, GIVE)],
    ids=["one function", "maker and destructor"],
)
def test_of_another_way_pairs_are_told_apart(places: Places, take: int, give: int) -> None:
    kept = (changed(1, 1, OTHER_TAKE), changed(2, -1, OTHER_GIVE))
    survivor = history(*kept, changed(3, 1, take), changed(4, -1, give))
    _, other = learn([survivor, freed()], places)
    rest = Account(frozenset([BIRTH, OTHER_TAKE]), frozenset([OTHER_GIVE]))
    assert set(other.accounts) == {pair(take, give), rest}


def test_of_another_way_two_of_one_function_are_not_guessed() -> None:
    changes = (changed(1, 1, BOTH_TAKE), changed(3, -1, BOTH_GIVE), changed(2, -1, OTHER_GIVE))
    survivor = history(*changes, changed(3, 2, BOTH_TAKE))
    _, other = learn([survivor, freed()], PLACES)
    (rest,) = other.accounts
    assert rest == Account(frozenset([BIRTH, BOTH_TAKE]), frozenset([BOTH_GIVE, OTHER_GIVE]))


def test_each_other_way_is_told_apart() -> None:
    one = history(changed(1, 1, TAKE), changed(2, -1, OTHER_GIVE))
    other = history(changed(1, 1, OTHER_TAKE), changed(2, -1, OTHER_GIVE))
    _, *ways = learn([one, other, one, freed((TAKE, GIVE)), freed()], PLACES)
    assert [way.histories for way in ways] == [(one, one), (other,)]


def test_nothing_is_learnt_of_nothing() -> None:
    assert learn([], PLACES) == ()
