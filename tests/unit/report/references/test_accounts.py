"""Which places give back what which places take."""

from __future__ import annotations

from profiler.report.references.accounts import Account, accounts_of, columns_of, pairs_of, split
from profiler.report.references.histories import BIRTH
from tests.object_histories import GIVE, LET_GO, OTHER_GIVE, PLACES, TAKE, changed, history


def test_columns_count_each_pattern_once() -> None:
    one = history(changed(1, 2, TAKE), changed(2, -1, GIVE))
    other = history(changed(1, -1, LET_GO))
    columns = columns_of([one, other, one])
    assert columns == {
        (BIRTH, True): ((0, 1), (1, 1)),
        (TAKE, True): ((0, 2),),
        (GIVE, False): ((0, 1),),
        (LET_GO, False): ((1, 1),),
    }


def test_a_place_and_the_two_that_add_up_to_it_are_one_account() -> None:
    columns = {
        (TAKE, True): ((0, 1), (1, 2), (2, 1)),
        (GIVE, False): ((0, 1), (1, 1)),
        (OTHER_GIVE, False): ((1, 1), (2, 1)),
    }
    (account,) = accounts_of(columns, columns, PLACES)
    assert account == Account(frozenset([TAKE]), frozenset([GIVE, OTHER_GIVE]))


def test_what_adds_up_to_nothing_is_one_account() -> None:
    columns = {(TAKE, True): ((0, 1), (1, 2)), (GIVE, False): ((0, 1), (1, 1))}
    (account,) = accounts_of(columns, columns, PLACES)
    assert account == Account(frozenset([TAKE]), frozenset([GIVE]))


def test_pairs_have_something_in_common_and_are_alone_with_it() -> None:
    once = ((0, 1),)
    columns = {(TAKE, True): once, (GIVE, False): once, (OTHER_GIVE, False): ((0, 2),)}
    assert pairs_of(columns, lambda _: "same") == [(TAKE, GIVE)]
    assert pairs_of(columns, lambda _: None) == []
    assert pairs_of({**columns, (OTHER_GIVE, False): once}, lambda _: "same") == []


def test_places_are_split_by_what_they_do() -> None:
    assert split([(TAKE, True), (GIVE, False)]) == (frozenset([TAKE]), frozenset([GIVE]))
