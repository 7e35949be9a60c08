"""Cookies and events of followed objects."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.wire.leaks import ObjectEvent, ObjectPlace, object_cookie
from profiler.wire.lookups import STEPPED

EVENT = ObjectEvent(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, -1, 2, ObjectPlace.REFERENCE)


@pytest.mark.parametrize("emulated", [True, False])
def test_a_cookie_holds_place_value_and_price(emulated: bool) -> None:
    cookie = object_cookie(ObjectPlace.FREE, 12, emulated)
    assert (cookie >> 56, cookie & (STEPPED - 1)) == (ObjectPlace.FREE, 12)
    assert bool(cookie & STEPPED) is not emulated


def test_an_event_comes_back_as_it_went() -> None:
    assert ObjectEvent.decode(EVENT.encode()) == EVENT


def test_a_stack_has_both_hashes_in_its_name_and_none_where_it_was_not_unwound() -> None:
    assert EVENT.stack_name == 8 << 64 | 7
    assert replace(EVENT, stack=0, check=0).stack_name is None
