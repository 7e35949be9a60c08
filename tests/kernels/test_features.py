"""A feature that fails or hangs is a row of the table, and does not end the others."""

from __future__ import annotations

import os
import subprocess
import time
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
    assert place.before, "3 of 9"
    return ""


def has_no_words(place: Place) -> str:
    assert place.before
    return ""


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
        (breaks, ("no", "OSError: [Errno 22] Invalid argument")),
        (disappears, ("no", "its process ended")),
    ],
)
def test_what_came_of_a_feature(check: Callable[[Place], str], outcome: tuple[str, str]) -> None:
    state, detail = try_feature(Feature("x", check), PLACE)
    assert (state, detail.partition("\n")[0].partition(" assert")[0]) == outcome


def test_an_assertion_without_words_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    state, detail = try_feature(Feature("x", has_no_words), PLACE)
    assert state == "no"
    assert "place.before" in detail or "before" in detail


def test_a_feature_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    started = tmp_path / "pid"

    def hangs(place: Place) -> str:
        child = subprocess.Popen(["sleep", "600"])
        started.write_text(str(child.pid))
        child.wait()
        return ""

    assert try_feature(Feature("x", hangs, limit_s=0.5), PLACE) == ("no", "not done in 0 s")
    for _ in range(100):
        if not Path(f"/proc/{started.read_text()}").exists():
            return
        time.sleep(0.02)
    raise AssertionError("what it started still runs")
