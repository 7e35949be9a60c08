"""Objects of the ground-truth module: all are freed but those that are said to leak."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab.errors import LabError
from lab.instance import Instance

pytestmark = pytest.mark.live
SITES = ("birth", "link", "find", "attach", "owner", "holder", "task")
Start = Callable[[str], dict[str, Any]]


@pytest.fixture
def start(asterisk: Instance) -> Iterator[Start]:
    yield lambda words: asterisk.groundtruth(f"objects start {words}")
    asterisk.groundtruth("objects free")


def wait_born(asterisk: Instance, name: str, count: int) -> None:
    deadline = time.monotonic() + 60
    while counts(asterisk.groundtruth("objects result"))[name][0] < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def counts(truth: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {one["name"]: (one["born"], one["freed"]) for one in truth["types"]}


def alive(truth: dict[str, Any]) -> dict[str, int]:
    found = {name: born - freed for name, (born, freed) in counts(truth).items()}
    return {name: count for name, count in found.items() if count}


def stop(asterisk: Instance) -> dict[str, Any]:
    """End what is not forgotten; the last tasks still run on their own thread."""
    asterisk.groundtruth("objects stop")
    time.sleep(0.1)
    return asterisk.groundtruth("objects result")


def test_healthy_objects_are_all_freed(asterisk: Instance, start: Start) -> None:
    start("rate=100 storm=100")
    wait_born(asterisk, "found", 20)
    truth = stop(asterisk)
    assert truth["leaked"] == 0
    assert len(truth["types"]) == 11
    assert counts(truth)["leaky"] == (0, 0)
    assert set(alive(truth)) <= {"stormy"}  # the storm still holds its objects
    assert alive(asterisk.groundtruth("objects free")) == {}


@pytest.mark.parametrize("site", SITES)
def test_a_share_leaks_at_a_known_line(asterisk: Instance, start: Start, site: str) -> None:
    start(f"site={site} percent=50 rate=200")
    wait_born(asterisk, "leaky", 20)
    truth = stop(asterisk)
    born, freed = counts(truth)["leaky"]
    assert truth["leaked"] == born - freed == born // 2
    assert set(alive(truth)) <= {"leaky"}
    assert truth["owners_born"] - truth["owners_freed"] == (born // 2 if site == "holder" else 0)
    assert truth["given"]["file"] == "references.c"
    assert (truth["taken"] is None) == (site == "birth")
    freed_all = asterisk.groundtruth("objects free")
    assert alive(freed_all) == {}
    assert freed_all["owners_born"] == freed_all["owners_freed"]


def test_all_or_one_of_a_hundred_leak(asterisk: Instance, start: Start) -> None:
    for percent in (1, 100):
        start(f"site=attach percent={percent} rate=1000")
        wait_born(asterisk, "leaky", 100)
        truth = stop(asterisk)
        assert truth["leaked"] == counts(truth)["leaky"][0] * percent // 100
        asterisk.groundtruth("objects free")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("site=nowhere", "no such option or site"),
        ("color=red", "no such option or site"),
        ("percent=101", "out of bounds"),
        ("rate=0", "out of bounds"),
    ],
)
def test_misuse_is_refused(start: Start, words: str, reason: str) -> None:
    with pytest.raises(LabError, match=reason):
        start(words)


def test_there_is_one_run_at_a_time_and_it_ends_with_the_module(
    asterisk: Instance, start: Start
) -> None:
    start("site=link percent=100")
    with pytest.raises(LabError, match="already"):
        start("")
    assert "Unloaded" in asterisk.cli("module unload groundtruth.so")
    assert asterisk.groundtruth("objects result")["state"] == "done"
