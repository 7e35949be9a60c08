"""Histories of objects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.leaks import Change, ChangeKind, Fate, FollowedObject

TAKEN = Change(20, ChangeKind.REFERENCE, 1, 1, 0, None, 7)
GIVEN_BACK = Change(30, ChangeKind.REFERENCE, -1, 2, 1, None, 7)
GAP = Change(40, ChangeKind.GAP, 2, 1, None, None, 0)
OBJECT = FollowedObject(
    type=0,
    address=0x1000,
    born_ns=10,
    tid=7,
    stack=None,
    fate=Fate.ALIVE,
    ended_ns=110,
    is_end_exact=False,
    references=1,
    lost_changes=0,
    history=(TAKEN, GIVEN_BACK),
)


def test_an_object_has_one_reference_at_birth_and_what_its_history_adds() -> None:
    assert OBJECT.balance == 1
    assert replace(OBJECT, history=(TAKEN,)).balance == 2
    assert replace(OBJECT, history=(TAKEN, GIVEN_BACK, GAP)).balance == 3


def test_its_age_is_how_long_it_was_seen() -> None:
    assert OBJECT.age_ns == 100


@pytest.mark.parametrize(
    ("change", "whole"),
    [({}, True), ({"history": (TAKEN, GAP)}, False), ({"lost_changes": 1}, False)],
)
def test_a_history_with_a_gap_or_a_loss_is_not_whole(
    change: dict[str, object], whole: bool
) -> None:
    assert replace(OBJECT, **change).is_whole is whole  # type: ignore[arg-type]
