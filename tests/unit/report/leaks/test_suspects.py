"""Suspects, in words."""

from __future__ import annotations

from dataclasses import replace

from profiler.model.leaks import LeaksRecording, Suspect
from profiler.model.recording import Frame, Stack
from profiler.report.leaks.leaks_profile import leaks_profile
from tests.followed_objects import World, record


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
