from __future__ import annotations

from dataclasses import replace

from profiler.renderers import lookup_html
from tests import examples


def test_a_long_table_is_cut_and_says_so() -> None:
    story = examples.field_story()
    many = tuple(replace(story.containers[1], address=index) for index in range(102))
    page = lookup_html.containers(replace(story, containers=many))
    assert page.count("<tr>") == 101
    assert "2 more are in profile.json." in page


def test_that_nothing_grew_is_said() -> None:
    story = examples.field_story()
    still = replace(story.containers[0], elements_end=55_585)
    assert "No container grew or shrank." in lookup_html.growth(replace(story, containers=(still,)))
    assert lookup_html.growth(examples.empty()) == ""
