from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from profiler.model.profile import NamedStack, Profile, Thread
from profiler.model.recording import Sample, Window
from profiler.renderers.graphs.difference_graph import difference_graph, render
from tests import examples

SVG = "{http://www.w3.org/2000/svg}"
Weighted = dict[tuple[str, ...], int]


def profile_of(weights: Weighted, seconds: int = 10, tid: int = 1) -> Profile:
    """Build a profile of one thread with so many samples of each stack, at 10 Hz."""
    numbers = [number for number, count in enumerate(weights.values()) for _ in range(count)]
    return replace(
        examples.empty(),
        frequency_hz=10.0,
        window=Window(0, seconds * 1_000_000_000),
        threads=(Thread(tid, "a", "works", 0.5, None, len(numbers)),),
        stacks=tuple(NamedStack(frames, 0, None) for frames in weights),
        samples=tuple(Sample(0, tid, number) for number in numbers),
    )


def nodes(before: Profile, after: Profile) -> list[tuple[str, str, int, int]]:
    """Return (label, colour, depth, weight) of each node."""
    drawn = difference_graph(before, after).tree.nodes
    return [(node.label, node.kind, node.depth, node.weight) for node in drawn]


def test_what_takes_more_is_red_and_what_takes_less_is_blue() -> None:
    before = profile_of({("main", "grows"): 20, ("main", "shrinks"): 200, ("main", "stays"): 99})
    after = profile_of(
        {("main", "grows"): 200, ("main", "shrinks"): 20, ("main", "stays"): 101}, tid=2
    )
    assert nodes(before, after) == [
        ("all threads", "same", 0, 321),
        ("works", "same", 1, 321),
        ("main", "same", 2, 321),
        ("grows", "more3", 3, 200),
        ("stays", "same", 3, 101),
        ("shrinks", "less3", 3, 20),
    ]


@pytest.mark.parametrize(
    ("count", "colour"),
    [(100, "same"), (149, "same"), (160, "more1"), (230, "more2"), (330, "more3")],
)
def test_colours_say_how_sure_a_change_is(count: int, colour: str) -> None:
    changed = nodes(profile_of({("main",): 100}), profile_of({("main",): count}))
    assert [kind for _, kind, _, _ in changed] == [colour] * 3


def test_recordings_of_different_length_are_compared_per_second() -> None:
    short, long = profile_of({("main",): 100}, 10), profile_of({("main",): 1_000}, 100)
    assert {kind for _, kind, _, _ in nodes(short, long)} == {"same"}
    assert {kind for _, kind, _, _ in nodes(long, short)} == {"same"}


def test_what_is_gone_has_a_lane_at_the_scale_of_the_others() -> None:
    before = profile_of({("main", "stays"): 100, ("main", "lost", "inner"): 50}, 10)
    after = profile_of({("main", "stays"): 200}, 20)
    graph = difference_graph(before, after)
    assert nodes(before, after) == [
        ("all threads", "less1", 0, 300),
        ("works", "less1", 1, 200),
        ("main", "less1", 2, 200),
        ("stays", "same", 3, 200),
        ("[only in BEFORE]", "less2", 1, 100),
        ("works", "less1", 2, 100),
        ("main", "less1", 3, 100),
        ("lost", "less2", 4, 100),
        ("inner", "less2", 5, 100),
    ]
    said = {node.label: graph.weigh(node) for node in graph.tree.nodes}
    assert said["lost"] == "50 % before, 0 % after of one CPU: -50.0 %"
    assert said["stays"] == "100 % before, 100 % after of one CPU: within the error"
    assert said["[only in BEFORE]"] == "50 % before, 0 % after of one CPU: -50.0 %"


def test_what_chance_may_have_left_out_is_not_gone() -> None:
    before = profile_of({("main", "stays"): 100, ("main", "rare"): 10})
    labels = [label for label, *_ in nodes(before, profile_of({("main", "stays"): 100}))]
    assert labels == ["all threads", "works", "main", "stays"]


def test_all_that_was_there_may_be_gone() -> None:
    gone = nodes(profile_of({("main",): 50}), profile_of({}))
    assert [(label, depth) for label, _, depth, _ in gone] == [
        ("all threads", 0),
        ("[only in BEFORE]", 1),
        ("works", 2),
        ("main", 3),
    ]
    assert nodes(profile_of({}), profile_of({})) == []


def written(before: Profile, after: Profile) -> str:
    out = io.StringIO()
    render(before, after, out)
    return out.getvalue()


@pytest.mark.parametrize("before", examples.EXAMPLES.values())
@pytest.mark.parametrize("after", examples.EXAMPLES.values())
def test_it_is_well_formed_whatever_the_names(before, after) -> None:
    root = ElementTree.fromstring(written(before(), after()))
    assert len(root.findall(f".//{SVG}script")) == 1


def test_every_colour_is_in_the_style_and_the_legend_is_readable() -> None:
    text = written(profile_of({("main",): 10}), profile_of({("main",): 400}))
    fills = fills_of(text, ("more1", "more2", "more3", "same", "less1", "less2", "less3"))
    assert len(set(fills)) == 7
    legend = re.findall(r'background:(#\w+)"></i>([^<]+)<', text)
    assert [words for _, words in legend] == [
        "more than before",
        "more, less surely",
        "same, within the error",
        "less, less surely",
        "less than before",
    ]
    assert {colour for colour, _ in legend} <= set(fills)


def fills_of(text: str, kinds: Sequence[str]) -> list[str]:
    found = [re.search(rf"\.{kind} rect {{ fill: (\S+);", text) for kind in kinds]
    return [fill[1] for fill in found if fill]
