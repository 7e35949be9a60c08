from __future__ import annotations

import io
from dataclasses import replace

import pytest

from profiler.model.profile import Profile
from profiler.renderers.terminal.difference_text import render, report
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


HEADER = """\
                                                 BEFORE                    AFTER
  Asterisk                                      16.28.0                  16.28.0
  build id                         5c3fd1a7e0b94be0a5f…     5c3fd1a7e0b94be0a5f…
  process                                          4711                     4711
  host                                     pbx1, 2 CPUs             pbx1, 2 CPUs
  kernel                                 6.1.0-28-amd64           6.1.0-28-amd64
  recorded                      2026-11-24 05:43:10 UTC  2026-11-24 05:43:10 UTC
  for                              60.0 s, 99 samples/s     60.0 s, 99 samples/s
  samples                                         5,935                    1,979
  by                                    ebpf-prof 0.1.0          ebpf-prof 0.1.0
  CPU                                  101 % of one CPU         101 % of one CPU
"""


def test_equal_profiles_have_no_change() -> None:
    lines = shown(repaired(), repaired()).splitlines()
    assert lines[11:] == ["", "No change beyond the measurement error."]


def test_a_repair_is_shown_with_the_thread_and_the_container_first() -> None:
    text = shown(examples.field_story(), repaired())
    assert text.startswith(HEADER)
    assert text.splitlines()[11:20] == [
        "",
        "THREADS",
        "                                                         before   after   change",
        "  do_monitor (chan_sip.so)                               97.9 %  11.0 %  -86.9 %",
        "",
        "CONTAINERS  (time of lookups, of the window)",
        "                           before  after   change        lookups/s      elements",
        "  taskprocessors (tps_cmp_cb)",
        "                           87.4 %  2.0 %  -85.4 %  12.3 k > 12.3 k  55.7 k > 812",
    ]


def test_changes_within_the_error_are_only_counted() -> None:
    story = examples.field_story()
    used = replace(story.threads[0], cpu_ratio=0.11)
    after = replace(story, samples=story.samples[:-20], threads=(used, *story.threads[1:]))
    text = " ".join(shown(story, after).split())
    assert text.endswith("Not shown, since they changed within the error: 26 functions.")
    assert "FUNCTIONS" not in text


def test_what_stands_in_the_way_is_said_below_the_header() -> None:
    story = examples.field_story()
    lines = shown(story, replace(story, lookups_not_measured="--cpu-only")).splitlines()
    assert lines[11] == "! AFTER has no lookups (--cpu-only): containers are not compared."
    assert "CONTAINERS" not in " ".join(lines)


@pytest.mark.parametrize("width", [40, 80, 120])
def test_it_fits_the_terminal_whatever_the_names(width: int) -> None:
    lines = report(diff(examples.hostile(), repaired()), width)
    lines += report(diff(examples.poisoned(), repaired()), width)
    lines += report(diff(repaired(), examples.hostile()), width)
    assert max(len(line.text) for line in lines) <= width
    assert all(line.text.isprintable() for line in lines)
