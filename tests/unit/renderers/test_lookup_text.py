from __future__ import annotations

from dataclasses import replace

from profiler.renderers import lookup_text
from tests import examples


def texts(profile) -> list[str]:
    return [line.text for line in lookup_text.lines(profile)]


def test_nothing_measured_is_said_in_words() -> None:
    assert "  No container lookup was measured." in texts(examples.empty())


def test_a_container_is_shown_in_full() -> None:
    lines = texts(examples.field_story())
    first = lines.index("    hash at 0x7f3a5c0012a8")
    assert lines[first - 1 : first + 6] == [
        "  taskprocessors (tps_cmp_cb)",
        "    hash at 0x7f3a5c0012a8",
        "    lookups      12,307/s ± 2 %, 23,225 measured, 3.1 % of them hits",
        "    comparisons  p50 7,935      p90 8,191      p99 8,191      max 8,191",
        "    time         p50 73.7 us    p90 115 us     p99 115 us     max 328 us",
        "    shape        55,585 to 55,702 elements in 7 buckets, chain 7,949 on average,",
        "                 8,104 at most",
    ]


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
