from __future__ import annotations

import io
import json
from dataclasses import replace
from html import unescape

import pytest

from profiler.model.finding import Finding, Severity
from profiler.model.profile import Profile
from profiler.model.recording import Sample
from profiler.renderers.exports.json import document
from profiler.renderers.graphs.flamegraph import comparison_graph
from profiler.renderers.page import html
from profiler.renderers.terminal import text
from profiler.renderers.words import nothing
from tests import examples

CPU_ONLY = "--cpu-only"


def idle(total_cpu_ratio: float = 0.004, why: str | None = None) -> Profile:
    known = examples.empty()
    window = replace(known.window, end_ns=known.window.start_ns + 4_112_345_678)
    return replace(known, window=window, total_cpu_ratio=total_cpu_ratio, lookups_not_measured=why)


def looked_up(lookups: float, high: float | None) -> Profile:
    """Return an idle one in which there were so many lookups, or at least so many."""
    (use, *_) = examples.field_story().containers
    total = None if high is None else lookups
    counts = replace(use.lookups, estimated_total=total, estimated_low=lookups, estimated_high=high)
    return replace(idle(), containers=(replace(use, lookups=counts),))


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (idle(), "no lookups in 4 s."),
        (idle(why=CPU_ONLY), "lookups not measured (--cpu-only) in 4 s."),
        (looked_up(12.0, 12.0), "about 12 lookups in 4 s."),
        (looked_up(12.0, None), "at least 12 lookups in 4 s."),
    ],
)
def test_an_idle_process_is_said_to_be_idle(profile: Profile, words: str) -> None:
    said = nothing.without_findings(profile)
    assert said is not None
    assert said[0].startswith(f"Asterisk was idle: 0.4 % of a CPU, {words} Run again while ")
    assert said[1] == "bad"


@pytest.mark.parametrize(
    ("long_waits", "words"),
    [
        (False, "No thread waited for a lock for half a second or longer."),
        (True, "If it does not answer, its threads may wait for each other."),
    ],
)
def test_whether_threads_of_an_idle_process_wait_for_each_other(
    long_waits: bool, words: str
) -> None:
    waits = examples.contended().off_cpu
    assert waits is not None and waits.long_waits
    waits = waits if long_waits else replace(waits, long_waits=())
    said = nothing.without_findings(replace(idle(), off_cpu=waits))
    assert said is not None
    assert said[0].endswith(f"is happening. {words}")


def found(profile: Profile, severity: Severity) -> Profile:
    return replace(profile, findings=(Finding("growth", 1, "grew", (), None, "wait", severity),))


def test_an_idle_process_is_said_to_be_idle_beside_mere_notes() -> None:
    noted = found(idle(), Severity.NOTE)
    assert nothing.without_findings(noted) == nothing.without_findings(idle())
    assert nothing.without_findings(found(idle(), Severity.LOST)) is None
    assert nothing.without_findings(found(idle(0.5), Severity.NOTE)) is None


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (None, "No sample was taken, no lookups."),
        (CPU_ONLY, "No sample was taken, lookups not measured (--cpu-only)."),
    ],
)
def test_a_busy_one_without_samples_is_not_said_to_be_idle(why: str | None, words: str) -> None:
    assert nothing.without_findings(idle(0.01, why)) == (words, "bad")
    sampled = replace(idle(0.01, why), samples=(Sample(0, 1, 0),))
    assert nothing.without_findings(sampled) == ("Nothing stands out.", "good")


def test_lookups_that_nobody_looked_for_are_not_measured() -> None:
    assert nothing.without_lookups(idle()) == "No container lookup was seen."
    assert nothing.without_lookups(idle(why=CPU_ONLY)) == (
        "Container lookups: not measured (--cpu-only)."
    )
    assert nothing.without_lookups(examples.field_story()) == ""


@pytest.mark.parametrize(
    "profile",
    [
        *(make() for make in examples.EXAMPLES.values()),
        *(idle(), idle(why=CPU_ONLY), idle(0.5)),
        *(found(idle(), Severity.NOTE), found(idle(0.5), Severity.NOTE)),
    ],
)
def test_terminal_page_and_json_say_the_same_in_the_place_of_findings(profile: Profile) -> None:
    said = nothing.without_findings(profile)
    sentence = said[0] if said else "Asterisk was idle"
    shown = []
    for render in (text.render, text.render_full, html.render):
        out = io.StringIO()
        render(profile, out)
        shown.append(sentence in " ".join(unescape(out.getvalue()).split()))
    assert shown == [said is not None] * 3
    assert document(profile)["without_findings"] == (said[0] if said else None)


def test_what_nobody_looked_for_is_never_a_zero() -> None:
    profile = idle(why=CPU_ONLY)
    for render in (text.render, text.render_full, html.render):
        out = io.StringIO()
        render(profile, out)
        assert "not measured (--cpu-only)" in out.getvalue()
        assert "Probes that measure" not in out.getvalue()
        assert "0 lookups" not in out.getvalue()
    written = json.loads(json.dumps(document(profile)))
    assert written["lookups_not_measured"] == CPU_ONLY
    assert written["accounting"]["lookups"] is None
    assert written["cost"]["open_ratio"] is None
    assert written["lookup_stacks"] is None
    graph = comparison_graph(profile)
    assert graph.caption.endswith("Container lookups: not measured (--cpu-only).")
    assert graph.nothing == "Container lookups: not measured (--cpu-only)."
