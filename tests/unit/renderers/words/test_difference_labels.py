from __future__ import annotations

from dataclasses import replace

from profiler.model.difference import ContainerChange, ContainerLoad
from profiler.renderers.words.difference_labels import (
    container_cells,
    facts,
    no_change,
    within_error,
)
from profiler.report.difference import diff
from tests import examples

STORY = examples.field_story()


def test_the_two_recordings_are_told_side_by_side() -> None:
    after = replace(
        STORY,
        target=examples.target(version=None, pid=99),
        started_at="2026-11-25T07:00:00Z",
        host=None,
        total_cpu_ratio=0.0,
    )
    assert list(facts(diff(STORY, after)))[:6] == [
        ("Asterisk", "16.28.0", "unknown version"),
        ("build id", "5c3fd1a7e0b94be0a5f…", "5c3fd1a7e0b94be0a5f…"),
        ("process", "4711", "99"),
        ("host", "pbx1, 2 CPUs", "unknown"),
        ("kernel", "6.1.0-28-amd64", "unknown"),
        ("recorded", "2026-11-24 05:43:10 UTC", "2026-11-25 07:00:00 UTC"),
    ]
    assert list(facts(diff(STORY, after)))[-1] == ("CPU", "101 % of one CPU", "0 % of one CPU")


def test_hostile_names_stay_on_their_line() -> None:
    said = [word for fact in facts(diff(examples.hostile(), STORY)) for word in fact]
    assert all(word.isprintable() for word in said)


def test_a_container_that_was_not_there_has_a_dash() -> None:
    load = ContainerLoad(12.5, 0.0, 0.25, 0.0, None)
    assert container_cells(ContainerChange("name", "hash", None, load)) == (
        *("-", "25.0 %", "+25.0 %"),
        "- > 12.5",
        "- > ?",
    )


def test_changes_that_are_not_shown_are_counted_by_kind() -> None:
    assert no_change(diff(STORY, STORY)) == "No change beyond the measurement error."
    assert within_error(diff(STORY, STORY)) == ""
    first = replace(STORY.threads[0], cpu_ratio=STORY.threads[0].cpu_ratio + 1e-5)
    after = replace(STORY, threads=(first, *STORY.threads[1:]), samples=STORY.samples[:-1])
    said = within_error(diff(STORY, after))
    assert said.startswith("Not shown, since they changed within the error: 1 thread, ")
    assert said.endswith(" functions.")
    assert no_change(diff(STORY, after))
