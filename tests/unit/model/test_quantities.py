from __future__ import annotations

from dataclasses import fields, replace

import pytest

from profiler.model.quantities import Accounting, Window

PARTS = ("kept", "filtered", "lost", "collided", "truncated")
BALANCED = Accounting(31, 1, 2, 4, 8, 16)


def test_every_event_went_somewhere() -> None:
    assert BALANCED.balanced() and Accounting().balanced()
    assert [field.name for field in fields(Accounting)] == ["fired", *PARTS]


@pytest.mark.parametrize("name", ["fired", *PARTS])
def test_one_event_that_is_missing_is_seen(name: str) -> None:
    assert not replace(BALANCED, **{name: getattr(BALANCED, name) + 1}).balanced()


def test_a_window_has_seconds() -> None:
    assert Window(7_000_000_000, 8_500_000_000).duration_s == 1.5
