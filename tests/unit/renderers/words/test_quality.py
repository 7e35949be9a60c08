from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest

from profiler.cli.results import require_complete
from profiler.errors import IncompleteError
from profiler.model.completeness import sample_completeness
from profiler.model.profile import Profile, StackQuality
from profiler.model.recording import Accounting, Sample
from profiler.renderers.exports import json as profile_json
from profiler.renderers.graphs import flamegraph
from profiler.renderers.page import html
from profiler.renderers.terminal import text
from profiler.renderers.words import quality
from tests import examples


def said(profile: Profile) -> list[str]:
    return [text for text, _ in quality.notes(profile)]


@pytest.mark.parametrize(
    ("budget_ratio", "measured_ratio", "text", "style"),
    [
        (0.01, 0.01, "1 % of one CPU (budget 1 %)", "good"),
        (0.01, 0.011, "1.1 % of one CPU (budget 1 %)", "bad"),
        (None, 0.2, "20 % of one CPU (no budget)", "good"),
    ],
)
def test_the_cost_is_good_up_to_the_budget_and_bad_above(
    budget_ratio: float | None, measured_ratio: float, text: str, style: str
) -> None:
    story = examples.field_story()
    cost = replace(story.cost, budget_ratio=budget_ratio, measured_ratio=measured_ratio)
    assert quality.cost(replace(story, cost=cost)) == (f"cost to asterisk: {text}", style)


def test_what_was_truncated_was_seen_and_what_collided_was_lost() -> None:
    accounting = Accounting(21, 1, 2, 3, 4, 11)
    taken = replace(examples.empty(), sample_accounting=accounting, samples=(Sample(0, 1, 0),) * 12)
    assert said(taken)[0] == "12 samples (99 a second of CPU time), 7 lost."


def test_stacks_without_their_middle_are_counted() -> None:
    sentence = said(replace(examples.empty(), stack_quality=StackQuality(9, 9, (), 7)))[0]
    assert sentence.endswith("complete. 7 stacks are shown without calls in the middle.")
    sentence = said(replace(examples.empty(), stack_quality=StackQuality(9, 8, (("x", 1),), 1)))[0]
    assert sentence.endswith("1 x x. 1 stack is shown without calls in the middle.")


def test_incomplete_stacks_come_with_their_causes_the_commonest_first() -> None:
    stacks = StackQuality(1_000, 900, (("no rule", 30), ("no table", 70)))
    assert said(replace(examples.empty(), stack_quality=stacks))[0] == (
        "0 samples (99 a second of CPU time), none lost. 100 stacks are incomplete: "
        "70 x no table, 30 x no rule."
    )


def test_many_causes_are_cut_to_the_commonest() -> None:
    causes = tuple((f"cause {index}", 10 - index) for index in range(9))
    stacks = StackQuality(100, 46, causes)
    text = said(replace(examples.empty(), lookup_stack_quality=stacks))[1]
    assert text.endswith(
        " 54 stacks are incomplete: 10 x cause 0, 9 x cause 1, 8 x cause 2, 7 x cause 3, "
        "6 x cause 4, 5 x cause 5, 3 more causes."
    )


def test_a_wide_interval_is_shown_by_its_limits() -> None:
    story = examples.field_story()
    worst = story.containers[0]
    wide = replace(worst.lookups, estimated_low=10_000.0, estimated_high=3e6)
    assert said(replace(story, containers=(replace(worst, lookups=wide),)))[1].startswith(
        "Probes that measure were active 3.1 % of the time: 41,214 lookups measured, 22 lost, "
        "about 738 k in all (10 k to 3 M). 1 stack is incomplete: "
    )


def test_failed_checks_are_marked() -> None:
    story = examples.field_story()
    assert {style for _, style in quality.notes(story)} == {""}
    failed = [text for text, style in quality.notes(examples.hostile()) if style == "bad"][-1]
    assert failed.endswith("; 3,215 failed a check and are left out")


@pytest.mark.parametrize(("disagreed", "style"), [(0, ""), (2, "bad")])
def test_a_self_check_says_how_often_it_was_right(disagreed: int, style: str) -> None:
    story = examples.field_story()
    worst = story.containers[0]
    checked = replace(worst.lookups, steps_agreed=7, steps_disagreed=disagreed)
    notes = quality.notes(replace(story, containers=(replace(worst, lookups=checked),)))
    text = f"; counted a second way, 7 were the same and {disagreed} were not"
    assert (notes[2][0].endswith(text), notes[2][1]) == (True, style)


def test_frames_without_a_name_are_the_last_note_if_their_share_is_known() -> None:
    assert said(examples.field_story())[-1] == "frames without a name: 2.1 %"
    unknown = replace(examples.field_story(), unnamed_frames_ratio=None)
    assert "name" not in said(unknown)[-1]


def test_the_share_of_lookups_that_windows_saw_is_said_if_it_is_known() -> None:
    story = examples.field_story()
    assert said(story)[1].endswith(" Windows saw 3.4 % of the CPU time in lookups.")
    assert "Windows" not in said(replace(story, seen_lookups_ratio=None))[1]


def test_all_that_is_well_is_one_line() -> None:
    story = examples.field_story()
    well = replace(
        story,
        sample_accounting=Accounting(5_935, 5_935),
        lookup_accounting=Accounting(41_214, 41_214),
    )
    assert quality.summary(well) == (
        "data quality: 5,935 samples, 41,214 lookups, none lost",
        "",
    )
    none = replace(examples.empty(), lookups_not_measured="--cpu-only")
    assert quality.summary(none)[0] == "data quality: no samples, none lost"


def test_what_is_not_well_is_in_the_same_line() -> None:
    assert quality.summary(examples.field_story()) == (
        "data quality: 5,935 samples, 41,214 lookups, 2 samples lost, 22 lookups lost",
        "bad",
    )
    assert quality.summary(examples.hostile())[0].endswith(
        "936 stacks incomplete, 42 % of frames unnamed, samples do not add up, lookups do not "
        "add up, 3,215 counts failed a check"
    )


def test_losses_are_the_same_numbers_everywhere() -> None:
    """A sample without a stack is in no graph, so it is lost, whatever the kernel counted."""
    story = replace(examples.field_story(), sample_accounting=Accounting(5_940, 5_936, 2, 2))
    assert sample_completeness(story).lost == 3
    graph, page, terminal, verdict = (io.StringIO() for _ in range(4))
    flamegraph.render(story, graph)
    html.render(story, page)
    text.render_full(story, terminal)
    text.render(story, verdict)
    assert "5,935 samples, 3 lost, 0 stacks truncated" in graph.getvalue()
    assert "5,935 samples, 3 lost, 0 stacks truncated" in page.getvalue()
    assert "5,935 samples (99 a second of CPU time), 3 lost." in page.getvalue()
    assert "5,935 samples (99 a second of CPU time), 3 lost." in terminal.getvalue()
    assert "5,935 samples, 41,214 lookups, 3 samples lost, 22 lookups lost" in verdict.getvalue()
    out = io.StringIO()
    profile_json.render(story, out)
    written = json.loads(out.getvalue())["accounting"]["samples"]
    assert (written["seen"], written["missed"]) == (5_935, 3)
    with pytest.raises(IncompleteError, match="3 samples were lost"):
        require_complete(story)
