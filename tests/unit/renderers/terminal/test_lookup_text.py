from __future__ import annotations

from dataclasses import replace

from profiler.renderers.terminal import lookup_text
from tests import examples


def texts(profile) -> list[str]:
    return [line.text for line in lookup_text.lines(profile, 80)]


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


def test_operations_come_with_their_containers() -> None:
    lines = texts(examples.field_story())
    at = lines.index("CPU IN CONTAINER OPERATIONS  (by samples; of one CPU, 95 % interval)")
    assert lines[at + 2].split()[:2] == ["ao2_find", "taskprocessor.c:776"]
    assert lines[at + 3].endswith("59.0 %  57.8 to 60.3 %    3,505")
    assert lines[at + 4] == "    in taskprocessors (tps_cmp_cb)"


def test_operations_with_few_samples_are_left_to_the_page() -> None:
    story = examples.field_story()
    few = examples.operation(story, 59)  # of 5,935 samples
    many = examples.operation(story, 60)
    lines = texts(replace(story, operations=(many, few)))
    assert [line for line in lines if line.startswith("  ao2_link ")][0].endswith(" 60")
    assert "  and 1 more in report.html" in lines
    assert sum(line.startswith("  ao2_link ") for line in lines) == 1
    six = texts(replace(story, operations=(many,) * 6))
    assert sum(line.startswith("  ao2_link ") for line in six) == 5


def test_without_operations_there_is_no_table_of_them() -> None:
    story = replace(examples.field_story(), samples=examples.field_story().samples[:100])
    few = (examples.operation(story, 2),)
    assert any(
        line.startswith("CPU IN CONTAINER")
        for line in texts(replace(story, operations=(examples.operation(story, 3), *few)))
    )
    for known in (None, (), few):
        shown = texts(replace(story, operations=known))
        assert not any(line.startswith("CPU IN CONTAINER") for line in shown)
