from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.profile import Profile
from profiler.model.recording import Window
from profiler.report.diff_notes import diff_notes, has_lookups
from tests import examples

STORY = examples.field_story()
CPU_ONLY = replace(STORY, lookups_not_measured="--cpu-only")
assert STORY.host is not None


def test_nothing_is_said_of_two_recordings_of_one_build() -> None:
    later = replace(STORY, started_at="2026-11-25T05:43:10Z", target=examples.target(pid=5000))
    assert list(diff_notes(STORY, later)) == []


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (
            replace(STORY, target=examples.target(version="22.10.1", build_id="00")),
            "Not the same Asterisk: 16.28.0 before, 22.10.1 after.",
        ),
        (
            replace(STORY, target=examples.target(version=None)),
            "Not the same Asterisk: 16.28.0 before, unknown version after.",
        ),
        (
            replace(STORY, target=examples.target(build_id="00")),
            "Not the same build of Asterisk: names and lines may differ by that.",
        ),
        (replace(STORY, tool_version="9"), "Recorded by ebpf-prof 0.1.0 before, 9 after:"),
        (replace(STORY, frequency_hz=49.5), "Sampled 99 times a second before, 49.5 after:"),
        (
            replace(STORY, host=replace(STORY.host, name="other")),
            f"Not the same machine: {STORY.host.name} before, other after.",
        ),
        (CPU_ONLY, "AFTER has no lookups (--cpu-only): containers are not compared."),
        (replace(STORY, command=("x", "-U")), "One was recorded without kernel frames:"),
        (replace(STORY, command=("x", "--kernel")), "One was recorded without user frames:"),
        (
            replace(STORY, window=Window(0, 2_000_000_000)),
            "AFTER lasts 2.0 s: only large changes are seen.",
        ),
    ],
)
def test_what_stands_in_the_way_is_said_once(after: Profile, said: str) -> None:
    (note,) = diff_notes(STORY, after)
    assert note.startswith(said)


def test_which_of_them_is_without_lookups_is_said() -> None:
    (note,) = diff_notes(CPU_ONLY, STORY)
    assert note == "BEFORE has no lookups (--cpu-only): containers are not compared."
    assert list(diff_notes(CPU_ONLY, CPU_ONLY)) == []
    assert has_lookups(STORY) and not has_lookups(CPU_ONLY)
