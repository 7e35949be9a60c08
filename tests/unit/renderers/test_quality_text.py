from __future__ import annotations

from dataclasses import replace

from profiler.model.profile import CostReport, StackQuality
from profiler.model.recording import Accounting
from profiler.renderers import quality_text
from profiler.renderers.lines import Line
from tests import examples


def test_the_sentence_on_coverage_is_exact() -> None:
    assert quality_text.coverage(examples.field_story()) == (
        "lookup probes were open 3.1 % of the window, 41,214 lookups measured, "
        "~1.31 M estimated ± 1.4 %"
    )


def test_the_cost_is_good_up_to_the_budget_and_bad_above() -> None:
    story = examples.field_story()
    at = replace(story, cost=CostReport(0.01, 0.01, 0.0, 0.01, 0.0, 0, 1))
    above = replace(story, cost=CostReport(0.01, 0.011, 0.0, 0.011, 0.0, 0, 1))
    free = replace(story, cost=CostReport(None, 0.2, 0.0, 0.2, 0.0, 0, 1))
    assert [quality_text.cost_line(profile) for profile in (at, above, free)] == [
        Line("cost to asterisk: 1 % of one CPU (budget 1 %)", "good"),
        Line("cost to asterisk: 1.1 % of one CPU (budget 1 %)", "bad"),
        Line("cost to asterisk: 20 % of one CPU (no budget)", "good"),
    ]


def test_an_accounting_is_shown_in_the_order_of_its_heading() -> None:
    assert quality_text.parts(Accounting(21, 1, 2, 3, 4, 11)) == ("21", "1", "2", "3", "4", "11")


def test_cut_stacks_come_with_their_causes_the_commonest_first() -> None:
    quality = StackQuality(1_000, 900, (("no rule", 30), ("no table", 70)))
    said = quality_text.notes(replace(examples.empty(), stack_quality=quality))
    assert said == [
        ("sample stacks: 900 of 1,000 whole (90 %); truncated by: no table 70, no rule 30", "")
    ]


def test_many_causes_are_cut_to_the_commonest() -> None:
    causes = tuple((f"cause {index}", 10 - index) for index in range(9))
    quality = StackQuality(100, 46, causes)
    ((text, _),) = quality_text.notes(replace(examples.empty(), lookup_stack_quality=quality))
    assert text.startswith("lookup stacks: 46 of 100 whole (46 %); truncated by: cause 0 10, ")
    assert text.endswith("cause 5 5, 3 more causes")


def test_contradicted_counts_are_marked() -> None:
    story = examples.field_story()
    assert all(style == "" for _, style in quality_text.notes(story))
    bad = [text for text, style in quality_text.notes(examples.hostile()) if style == "bad"]
    assert bad[-1].startswith("comparisons counted: 20,000 verified, 9 not verifiable, 3,215")
