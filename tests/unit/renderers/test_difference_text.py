from __future__ import annotations

import io
from dataclasses import replace

from profiler.model.profile import Profile
from profiler.renderers.difference_text import render, report
from profiler.report.difference import diff
from tests import examples


def repaired() -> Profile:
    """The field story after the leak was closed: a third of the samples, a short chain."""
    story = examples.field_story()
    worst = replace(
        story.containers[0],
        elements_end=812,
        estimated_duration_ns=1.2e9,
        estimated_comparisons=1e6,
    )
    threads = (replace(story.threads[0], cpu_ratio=0.11), *story.threads[1:])
    return replace(
        story,
        samples=story.samples[::3],
        containers=(worst, story.containers[1]),
        threads=threads,
    )


def shown(before: Profile, after: Profile) -> str:
    out = io.StringIO()
    render(diff(before, after), out)
    return out.getvalue()


def test_equal_profiles_have_no_difference() -> None:
    assert shown(repaired(), repaired()) == "No difference.\n"


def test_a_repair_is_shown_with_the_thread_and_the_container_first() -> None:
    lines = shown(examples.field_story(), repaired()).splitlines()
    assert lines[2:10] == [
        "THREADS",
        "                                                         before   after   change",
        "  do_monitor (chan_sip.so)                               97.9 %  11.0 %  -86.9 %",
        "",
        "CONTAINERS  (time of lookups, of the window)",
        "                           before  after   change        lookups/s      elements",
        "  taskprocessors (tps_cmp_cb)",
        "                           87.4 %  2.0 %  -85.4 %  12.3 k > 12.3 k  55.7 k > 812",
    ]


def test_changes_that_chance_explains_are_only_counted() -> None:
    story = examples.field_story()
    text = shown(story, replace(story, samples=story.samples[:-20]))
    assert "changes no larger than chance explains" in text
    assert "tps_cmp_cb" not in text


def test_it_fits_into_80_columns_whatever_the_names() -> None:
    lines = report(diff(examples.hostile(), repaired()))
    lines += report(diff(examples.poisoned(), repaired()))
    assert max(len(line.text) for line in lines) <= 80
    assert all(line.text.isprintable() for line in lines)
