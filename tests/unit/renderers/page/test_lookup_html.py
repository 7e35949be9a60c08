from __future__ import annotations

from dataclasses import replace

from profiler.renderers.page import lookup_html
from profiler.renderers.page.sections import Section, draw
from tests import examples


def drawn(part: Section | None) -> str:
    assert part is not None
    return draw(part)


def test_rows_beyond_those_that_are_written_are_data() -> None:
    story = examples.field_story()
    many = tuple(replace(story.containers[1], address=index) for index in range(102))
    page = drawn(lookup_html.containers(replace(story, containers=many)))
    assert page.count("<tr id=") == 100
    assert "2 more rows: with scripts, or in profile.json." in page


def test_that_nothing_grew_is_said() -> None:
    story = examples.field_story()
    still = replace(story.containers[0], elements_end=55_585)
    page = drawn(lookup_html.growth(replace(story, containers=(still,))))
    assert "No container grew or shrank." in page
    assert lookup_html.growth(examples.empty()) is None


def test_operations_are_a_table() -> None:
    story = examples.field_story()
    page = drawn(lookup_html.operations(story))
    assert page.count("<tr id=") == 3
    assert "ao2_link config.c:1234 loads" in page
    assert "container not known: windows measure lookups only" in page
    assert lookup_html.operations(replace(story, operations=())) is None


def test_cpu_time_is_a_column_where_it_is_known() -> None:
    story = examples.field_story()
    page = drawn(lookup_html.containers(story))
    assert "CPU, by samples" in page
    assert "<small>73.1 to 75.4 %</small><small>shared</small>" in page
    old = drawn(lookup_html.containers(replace(story, operations=None)))
    assert "CPU, by samples" not in old
    assert "73.1 to 75.4 %" not in old


def test_name_and_share_of_time_come_first() -> None:
    page = drawn(lookup_html.containers(examples.field_story()))
    assert page.index("<th>Container</th>") < page.index('<th class="bar">Time, of window</th>')
    assert page.index("Time, of window") < page.index("CPU, by samples")


def test_a_spread_has_a_scale() -> None:
    page = drawn(lookup_html.containers(examples.field_story()))
    assert "<span>▃█▂▁</span></b><small>0 to 3</small>" in page
