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


def test_operations_are_a_table_that_is_cut_when_long() -> None:
    story = examples.field_story()
    page = lookup_html.operations(story)
    assert page.count("<tr>") == 1 + 3
    assert "ao2_link config.c:1234 loads" in page
    assert "container not known: windows measure lookups only" in page
    many = (examples.operation(story, 9),) * 102
    assert "2 more are in profile.json." in lookup_html.operations(replace(story, operations=many))
    assert lookup_html.operations(replace(story, operations=())) == ""


def test_cpu_time_is_a_column_where_it_is_known() -> None:
    story = examples.field_story()
    assert "CPU, by samples" in lookup_html.containers(story)
    assert "73.1 to 75.4 %, shared" in lookup_html.containers(story)
    old = lookup_html.containers(replace(story, operations=None))
    assert "CPU, by samples" not in old
    assert "73.1 to 75.4 %" not in old
