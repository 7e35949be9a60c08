"""Which places belong together by where they stand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.recording import CallSite
from profiler.report.basics.frame_names import frame_names
from profiler.report.references.histories import BIRTH
from profiler.report.references.places import Places
from tests.followed_objects import World, record

SITES = (
    CallSite("a.c", 1, "make"),
    CallSite("a.c", 9, "end"),
    CallSite("b.c", 1, "make"),
    CallSite("a.c", 2, "make"),
)
PLACES = Places(SITES, {"end": "make"})


def test_places_of_one_function_have_it_in_common() -> None:
    functions = [PLACES.function(at) for at in range(len(SITES))]
    assert functions[0] == functions[3]
    assert len(set(functions)) == 3  # others may have a function of that name, too


def test_a_destructor_belongs_to_who_makes_its_objects() -> None:
    assert PLACES.maker(1) == PLACES.maker(0) == "make"


def test_a_birth_has_nothing_in_common() -> None:
    assert PLACES.function(BIRTH) is None
    assert PLACES.maker(BIRTH) is None


@pytest.mark.parametrize("inferred", ["", "~"])
def test_a_recording_says_who_makes_what(inferred: str) -> None:
    recording = record(World(1, 5, 5))
    names = [f"{inferred}{name}" for name in frame_names(recording)]
    ended = replace(recording, sites=(*recording.sites, CallSite("a.c", 1, "cached_destroy")))
    assert Places.of(ended, names).maker(len(recording.sites)) == "cached_alloc"
