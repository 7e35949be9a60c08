"""The profile of leaks."""

from __future__ import annotations

from dataclasses import replace

from profiler.model.leaks import Fate
from profiler.report.leaks.leaks_profile import leaks_profile
from tests.followed_objects import World, record

RECORDING = record(World(1, 60, 5, "attach", 0.5))


def test_every_followed_object_is_freed_alive_or_lost() -> None:
    lost = replace(RECORDING.objects[0], fate=Fate.LOST)
    profile = leaks_profile(replace(RECORDING, objects=(lost, *RECORDING.objects[1:])))
    assert profile.lost == 1
    assert profile.followed == profile.freed + profile.alive + profile.lost
    assert sum(one.born for one in profile.types) == profile.followed
    assert all(one.born == one.freed + one.alive + one.lost for one in profile.types)


def test_types_with_most_survivors_come_first() -> None:
    alive = [one.alive for one in leaks_profile(RECORDING).types]
    assert alive == sorted(alive, reverse=True)


def test_sizes_of_one_type_are_joined() -> None:
    other = replace(RECORDING.types[0], size_bytes=99)
    kinds = (*RECORDING.types, other)
    moved = tuple(
        replace(one, type=len(kinds) - 1) if one.type == 0 and at % 2 else one
        for at, one in enumerate(RECORDING.objects)
    )
    joined = leaks_profile(replace(RECORDING, types=kinds, objects=moved))
    assert joined.types == leaks_profile(RECORDING).types


def test_a_recording_without_objects_has_nothing() -> None:
    profile = leaks_profile(replace(RECORDING, objects=()))
    assert (profile.types, profile.suspects, profile.followed) == ((), (), 0)
