from __future__ import annotations

from dataclasses import replace

from profiler.renderers.page.findings_html import findings
from profiler.renderers.page.sections import draw
from tests import examples


def test_the_worst_are_open_and_of_the_others_the_titles_are() -> None:
    story = examples.field_story()
    page = draw(findings(replace(story, findings=(story.findings[0],) * 4)))
    assert page.count('<details class="finding"') == 4
    assert page.count('" open>') == 1 + 3  # the section, and three of them


def test_without_any_it_says_so() -> None:
    assert "idle" in draw(findings(examples.empty()))
