"""A feature that fails or hangs is a row of the table, and does not end the others."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kernels.features import Feature, try_feature
from tests.kernels.place import Partly, Place

PLACE = Place(Path("/nowhere"), Path("/nowhere"), {})


def works(place: Place) -> str:
    return "9 of 9"


def is_weak(place: Place) -> str:
    raise Partly("no trees")


def is_wrong(place: Place) -> str:
    raise AssertionError("3 of 9")


def has_no_words(place: Place) -> str:
    raise AssertionError


def breaks(place: Place) -> str:
    raise OSError(22, "Invalid\nargument")


def disappears(place: Place) -> str:
    os._exit(3)


@pytest.mark.parametrize(
    ("check", "outcome"),
    [
        (works, ("yes", "9 of 9")),
        (is_weak, ("partly", "no trees")),
        (is_wrong, ("no", "3 of 9")),
        (has_no_words, ("no", "raise AssertionError (test_features.py)")),
        (breaks, ("no", "OSError: [Errno 22] Invalid argument")),
        (disappears, ("no", "its process ended")),
    ],
)
def test_what_came_of_a_feature(check: Callable[[Place], str], outcome: tuple[str, str]) -> None:
    assert try_feature(Feature("x", check), PLACE) == outcome


def test_a_feature_that_hangs_is_ended_with_all_that_it_started() -> None:
    ends, held = os.pipe()  # at its end when none of them has `held` open any more

    def hangs(place: Place) -> str:
        os.write(held, b"begun")
        subprocess.run(["sleep", "600"], pass_fds=[held])
        return ""

    found = try_feature(Feature("x", hangs, limit_s=5), PLACE)
    os.close(held)
    assert found == ("no", "not done in 5 s")
    with os.fdopen(ends, "rb", buffering=0) as end:
        assert end.read(5) == b"begun"
        readable, _, _ = select.select([end], [], [], 60)
        assert readable and end.read(1) == b""
