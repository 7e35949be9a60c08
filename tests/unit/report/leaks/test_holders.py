"""What lives on because another object holds it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.leaks import LeaksRecording
from profiler.model.recording import Frame, Stack
from profiler.report.basics.frame_names import frame_names
from profiler.report.leaks.holders import Held, with_holders
from profiler.report.references.histories import history_of
from profiler.report.references.overdue import find_overdue
from profiler.report.references.pace import Pace
from profiler.report.references.places import Places
from profiler.report.references.ways import Way, learn
from tests.followed_objects import World, record


def ways_of(recording: LeaksRecording) -> tuple[Way, ...]:
    return learn(
        (history_of(one, recording.sites) for one in recording.objects),
        Places.of(recording, frame_names(recording)),
    )


def held(recording: LeaksRecording) -> dict[str, str | None]:
    """Return of each type that is overdue by which it is held."""
    ways = ways_of(recording)
    overdue = tuple(find_overdue(ways, Pace.of(recording)))
    found = with_holders(recording, overdue, ways)

    def name(kind: int) -> str:
        destructor = recording.types[kind].destructor
        assert destructor is not None
        return recording.frames[destructor].symbol or ""

    def holder(one: Held) -> str | None:
        return None if one.holder is None else name(one.holder)

    return {name(one.overdue.type): holder(one) for one in found}


def test_the_holder_is_found_whose_destructor_gives_the_reference_back() -> None:
    assert held(record(World(1, 120, 10, "holder", 0.5))) == {
        "leaky_destroy": "owner_destroy",
        "owner_destroy": None,
    }


def test_of_a_holder_that_is_added_all_that_are_open_are_known() -> None:
    recording = record(World(1, 120, 10, "holder", 0.5))
    ways = ways_of(recording)
    owner, *leaky = sorted(find_overdue(ways, Pace.of(recording)), key=lambda one: -one.type)
    added = with_holders(recording, leaky, ways)[0].overdue
    assert added.type == owner.type
    assert added.openings == owner.openings
    assert set(added.agreeing) < set(added.openings)


def test_a_destructor_that_is_on_no_stack_passes_its_name() -> None:
    recording = record(World(1, 120, 10, "holder", 0.5))
    assert held(replace(recording, stacks=(Stack((), 0, None),) * len(recording.stacks))) == {
        "leaky_destroy": "owner_destroy",
        "owner_destroy": None,
    }


def test_a_destructor_that_forgets_is_no_holder() -> None:
    assert held(record(World(1, 120, 10, "owner", 0.5))) == {"leaky_destroy": None}


@pytest.mark.parametrize("inferred", ["", "~"])
def test_what_is_made_while_the_holder_is_made_belongs_to_it(inferred: str) -> None:
    recording = record(World(1, 120, 10, "holder", 0.5))
    sites = tuple(replace(site, function=f"of {site.function}") for site in recording.sites)
    sites = tuple(
        replace(site, function="owner_alloc") if site.function == "of owner_alloc" else site
        for site in sites
    )
    recording = replace(recording, sites=sites)
    frames = (*recording.frames, Frame(0x9000, None, None, None, f"{inferred}owner_alloc", None))
    stacks = tuple(
        Stack((*stack.frames, len(frames) - 1), 0, None)
        if recording.frames[stack.frames[0]].symbol == "leaky_alloc"
        else Stack((), 0, None)  # in which no destructor is seen
        for stack in recording.stacks
    )
    unseen = replace(recording, stacks=(Stack((), 0, None),) * len(stacks))
    assert held(unseen) == {"leaky_destroy": None, "owner_destroy": None}
    assert held(replace(recording, frames=frames, stacks=stacks)) == {
        "leaky_destroy": "owner_destroy",
        "owner_destroy": None,
    }
