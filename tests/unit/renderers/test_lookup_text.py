from __future__ import annotations

from dataclasses import replace

from profiler.renderers import lookup_text
from tests import examples


def texts(profile) -> list[str]:
    return [line.text for line in lookup_text.lines(profile)]


def test_a_tree_shows_its_sort_calls() -> None:
    story = examples.field_story()
    tree = replace(
        story.containers[1],
        kind="rbtree",
        comparisons=examples.NOTHING,
        sort_calls=examples.quantiles({(9, 10): 4, (10, 11): 1}),
    )
    lines = texts(replace(story, containers=(tree,)))
    assert "    comparisons  not measured" in lines
    assert "    sort calls   p50 9          p90 10         p99 10         max 10" in lines
    chart = lines.index("SORT CALLS PER LOOKUP  (dialogs (dialog_cmp_cb))")
    assert [line.split()[:2] for line in lines[chart + 1 : chart + 3]] == [["9", "4"], ["10", "1"]]


def test_a_long_ranking_is_cut_and_says_so() -> None:
    story = examples.field_story()
    many = tuple(replace(story.containers[1], address=index) for index in range(13))
    assert "  and 3 more in report.html" in texts(replace(story, containers=many))
