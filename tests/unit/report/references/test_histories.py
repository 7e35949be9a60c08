"""What the history of an object says about its references."""

from __future__ import annotations

from dataclasses import replace

from profiler.model.leaks import ChangeKind
from profiler.report.references.histories import BIRTH, history_of
from tests.object_histories import (
    GIVE,
    LET_GO,
    NODE,
    OTHER_TAKE,
    SITES,
    TAKE,
    changed,
    followed,
    gap,
    history,
    moved,
)


def test_the_first_step_is_the_birth() -> None:
    steps = history(changed(1, 1, TAKE), changed(2, -2, GIVE)).steps
    assert [(step.place, step.is_taken, step.count) for step in steps] == [
        (BIRTH, True, 1),
        (TAKE, True, 1),
        (GIVE, False, 2),
    ]


def test_a_container_gives_back_for_who_unlinks() -> None:
    linked = (moved(1, ChangeKind.LINK, TAKE), changed(1, 1, TAKE))
    unlinked = (moved(2, ChangeKind.UNLINK, GIVE), changed(2, -1, NODE))
    taken, given = history(*linked, *unlinked).steps[1:]
    assert (taken.place, taken.container) == (TAKE, 0x50)
    assert (given.place, given.container) == (GIVE, 0x50)


def test_what_follows_a_link_on_its_own_is_no_part_of_it() -> None:
    steps = history(moved(1, ChangeKind.LINK, TAKE), changed(1, 1, OTHER_TAKE)).steps
    assert (steps[1].place, steps[1].container) == (OTHER_TAKE, None)


def test_a_history_is_known_if_it_explains_the_references_at_its_end() -> None:
    one = followed(changed(1, 1, TAKE), gap(2, 0))
    assert history_of(one, SITES).is_known
    assert not history_of(replace(one, references=1), SITES).is_known
    assert not history(changed(1, 1, TAKE), gap(2, -1)).is_known
    assert not history(changed(1, 1, TAKE), lost=1).is_known


def test_only_what_was_seen_to_be_given_back_is_closed() -> None:
    assert history(changed(1, -1, LET_GO)).is_closed
    assert not history(changed(1, 1, TAKE)).is_closed
    assert not history(gap(1, -1)).is_closed
