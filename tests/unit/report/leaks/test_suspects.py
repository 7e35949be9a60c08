"""Suspects, in words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.leaks import Fate, LeaksRecording, Suspect
from profiler.model.recording import Frame, Stack
from profiler.report.leaks.leaks_profile import leaks_profile
from tests.followed_objects import SECOND, World, record

OLD_NS = 30 * SECOND  # younger ones accuse nobody


def suspects(recording: LeaksRecording) -> tuple[Suspect, ...]:
    return leaks_profile(recording).suspects


def test_a_suspect_says_where_it_was_taken_and_where_others_gave_it_back() -> None:
    (suspect,) = suspects(record(World(1, 120, 10, "attach", 0.5)))
    assert suspect.summary.name == "leaky_destroy"
    assert [place.split()[1] for place in suspect.taken_at] == ["attach"]
    (given,) = suspect.given_back_at
    assert given.site.split()[1] == "detach"
    assert (given.others_have, given.survivors_have) == (1, 0)
    assert suspect.agreeing == suspect.compared
    assert suspect.closed_max_ns is not None
    assert suspect.closed_max_ns < 10**9 < suspect.held_min_ns


def test_a_container_that_grows_is_named() -> None:
    (suspect,) = suspects(record(World(1, 120, 10, "link", 0.5)))
    assert suspect.containers == ("thing_compare",)


def test_a_container_that_does_not_grow_holds_by_design() -> None:
    recording = record(World(1, 120, 10, "link", 0.5))
    (container,) = recording.containers
    level = tuple((time_ns, 1_000) for time_ns, _ in container.elements)
    assert suspects(replace(recording, containers=(replace(container, elements=level),))) == ()
    assert suspects(replace(recording, containers=())) == ()


def test_nodes_of_containers_are_not_accused() -> None:
    recording = record(World(1, 120, 10, "attach", 0.5))
    sites = tuple(
        replace(site, file="astobj2_hash.c") if site.function == "leaky_alloc" else site
        for site in recording.sites
    )
    assert suspects(replace(recording, sites=sites)) == ()


def test_what_is_given_back_with_another_object_is_not_accused() -> None:
    recording = record(World(1, 120, 10, "attach", 0.5))
    sites = tuple(
        replace(site, file="astobj2.c") if site.function == "detach" else site
        for site in recording.sites
    )
    assert suspects(replace(recording, sites=sites)) == ()


def test_the_holder_comes_first_with_what_it_holds() -> None:
    holder, held = suspects(record(World(1, 120, 10, "holder", 0.5)))
    assert (holder.summary.name, holder.held_by) == ("owner_destroy", None)
    assert [(one.name, one.count) for one in holder.holds] == [("leaky_destroy", held.agreeing)]
    assert held.held_by == "owner_destroy"


def test_of_types_that_hold_each_other_one_is_named() -> None:
    recording = record(World(1, 120, 10, "holder", 0.5))
    frames = (*recording.frames, Frame(0x9000, None, None, None, "leaky_alloc", None))
    stacks = tuple(
        Stack((*stack.frames, len(frames) - 1), 0, None)
        if recording.frames[stack.frames[0]].symbol == "owner_alloc"
        else stack
        for stack in recording.stacks
    )
    first, second = suspects(replace(recording, frames=frames, stacks=stacks))
    assert first.held_by is None
    assert second.held_by == first.summary.name


@pytest.mark.parametrize("forgets", ["birth", "holder"])
@pytest.mark.parametrize(("stacked", "shown"), [(3, "old"), (0, "young")])
def test_the_stack_is_of_those_that_agree_or_else_of_all_that_are_open(
    forgets: str, stacked: int, shown: str
) -> None:
    recording = record(World(1, 120, 10, forgets, 0.5))
    first = suspects(recording)[0]
    (kind,) = (
        at
        for at, one in enumerate(recording.types)
        if one.destructor is not None
        and recording.frames[one.destructor].symbol == first.summary.name
    )
    frames = (*recording.frames, *(Frame(0, None, None, None, at, None) for at in ("old", "young")))
    old, young = (len(recording.stacks) + at for at in range(2))
    stacks = (
        *recording.stacks,
        *(Stack((len(recording.frames) + at,), 0, None) for at in range(2)),
    )
    left = stacked
    objects = []
    for one in recording.objects:
        stack = one.stack
        if one.type == kind and one.fate is Fate.ALIVE:
            is_old = recording.window.end_ns - one.born_ns > OLD_NS
            stack = young if not is_old else old if left > 0 else None
            left -= is_old
        objects.append(replace(one, stack=stack))
    suspect = suspects(replace(recording, frames=frames, stacks=stacks, objects=tuple(objects)))[0]
    assert suspect.summary.name == first.summary.name
    assert suspect.stack == (shown,)
