"""What goes on until the end, and what ends before."""

from __future__ import annotations

import pytest

from profiler.report.references.pace import Pace
from tests.followed_objects import World, record

START, END = 1_000, 1_300  # the last third begins at 1,200
STEADY = tuple(range(START, END))
A = 0x50


def pace(births: tuple[int, ...] = STEADY, *elements: tuple[int, int]) -> Pace:
    return Pace(END, births, {A: elements})


@pytest.mark.parametrize(
    ("kept", "goes_on"),
    [
        (range(START, END, 10), True),
        (range(START, 1_200), False),
        ((*range(START, 1_200), 1_250), False),  # one is too few
        ((1_010, 1_150, 1_250), True),
        ((1_010, 1_150), False),  # few, but none of them late
        ((), False),
    ],
)
def test_a_leak_goes_on_in_the_last_third(kept: tuple[int, ...], goes_on: bool) -> None:
    assert pace().goes_on(kept, END) is goes_on


def test_time_stands_while_nothing_is_born() -> None:
    kept = range(START, 1_100)
    assert not pace().goes_on(kept, END)
    assert pace((*range(START, 1_100), 1_250)).goes_on(kept, END)


@pytest.mark.parametrize(
    ("kept", "goes_on"), [(range(START, 1_270), False), ((1_010, 1_150, 1_240), True)]
)
def test_it_has_ended_where_none_came_for_long(kept: tuple[int, ...], goes_on: bool) -> None:
    assert pace().goes_on(kept, END) is goes_on


@pytest.mark.parametrize(("kept_until", "goes_on"), [(15_000, True), (9_000, False)])
def test_of_thousands_that_are_kept_it_is_told_as_well(kept_until: int, goes_on: bool) -> None:
    many = Pace(15_000, tuple(range(15_000)), {})
    kept = (*range(0, kept_until, 3), 14_990)
    assert many.goes_on(kept, 15_000) is goes_on


@pytest.mark.parametrize(
    ("elements", "grows"),
    [
        (((1_200, 50), (1_290, 60)), True),
        (((1_200, 50), (1_290, 54)), False),  # most of the ten have been taken out
        (((1_000, 0), (1_190, 90)), False),
        (((1_290, 60),), False),
        ((), False),
    ],
)
def test_a_container_grows_by_what_is_linked(
    elements: tuple[tuple[int, int], ...], grows: bool
) -> None:
    assert pace(STEADY, *elements).grows(A, [1_000, *range(1_200, END, 10)]) is grows


def test_a_container_that_was_not_looked_at_does_not_grow() -> None:
    assert not pace().grows(0x60, [1_250])


def test_a_recording_says_its_pace() -> None:
    recording = record(World(1, 30, 5, "link", 0.5))
    found = Pace.of(recording)
    assert found.end_ns == recording.window.end_ns
    assert len(found.births_ns) == len(recording.objects)
    assert list(found.births_ns) == sorted(found.births_ns)
    assert list(found.sizes) == [container.address for container in recording.containers]
