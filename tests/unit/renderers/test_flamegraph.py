from __future__ import annotations

import io
import random
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from profiler.model.profile import NamedStack
from profiler.model.recording import Sample
from profiler.renderers import flamegraph
from tests import examples

SVG = "{http://www.w3.org/2000/svg}"
RENDERERS = (flamegraph.render, flamegraph.render_comparisons)


def drawn(render, profile) -> str:
    out = io.StringIO()
    render(profile, out)
    return out.getvalue()


def frames(text: str) -> list[tuple[str, str, list[int]]]:
    """Return (class, title, [start, weight, depth]) of every frame."""
    groups = ElementTree.fromstring(text).iterfind(f".//{SVG}g[@data-at]")
    return [
        (
            group.get("class", "").removeprefix("frame "),
            group.findtext(f"{SVG}title", ""),
            [int(part) for part in group.get("data-at", "").split()],
        )
        for group in groups
    ]


@pytest.mark.parametrize("render", RENDERERS)
@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_it_is_well_formed_whatever_the_names(make, render) -> None:
    root = ElementTree.fromstring(drawn(render, make()))
    assert root.tag == f"{SVG}svg"
    assert len(root.findall(f".//{SVG}script")) == 1


@pytest.mark.parametrize("make", examples.EXAMPLES.values())
def test_it_needs_nothing_from_elsewhere(make) -> None:
    text = drawn(flamegraph.render, make())
    links = re.findall(r"(?:https?:)?//[^\s\"')]+", re.sub(r"(?m)^\s*(//|\*|/\*).*$", "", text))
    allowed = {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}
    assert set(links) <= allowed
    assert "href" not in text and "@import" not in text and "url(" not in text


def test_equal_profiles_give_equal_drawings() -> None:
    assert drawn(flamegraph.render, examples.field_story()) == drawn(
        flamegraph.render, examples.field_story()
    )


def test_threads_are_lanes_and_weights_have_units() -> None:
    rows = frames(drawn(flamegraph.render, examples.field_story()))
    assert rows[0][1] == "all threads\n5,935 samples, 59.9 s, 100.00 %"
    lanes = [title for kind, title, _ in rows if kind == "lane"]
    assert lanes == [
        "chan_sip do_monitor (4733)\n5,814 samples, 58.7 s, 97.96 %",
        "console and signals (4711)\n91 samples, 919 ms, 1.53 %",
        "asterisk (4720)\n30 samples, 303 ms, 0.51 %",
    ]


def test_comparisons_are_drawn_by_container() -> None:
    rows = frames(drawn(flamegraph.render_comparisons, examples.field_story()))
    assert rows[0][1] == "all containers\n175 M comparisons, 100.00 %"
    assert [title.split("\n")[0] for kind, title, _ in rows if kind == "lane"] == [
        "taskprocessors (tps_cmp_cb)",
        "dialogs (dialog_cmp_cb)",
    ]


def test_every_kind_of_frame_has_its_own_colour() -> None:
    stack = NamedStack(("main", "~build_peer", "asterisk+0x10", "read", "do_read"), 1, "no rule")
    sample = Sample(0, 1, 0)
    profile = replace(examples.empty(), stacks=(stack,), samples=(sample,))
    kinds = [kind for kind, _, _ in frames(drawn(flamegraph.render, profile))]
    assert kinds[:3] == ["root", "lane", "truncated"]
    assert kinds[4:6] == ["inferred", "unnamed"]
    assert kinds[7] == "kernel"
    assert kinds[3].startswith("user") and kinds[6].startswith("user")
    style = drawn(flamegraph.render, profile)
    fills = [re.search(rf"\.{kind} rect {{ fill: (\S+);", style) for kind in kinds]
    assert len({fill[1] for fill in fills if fill}) == len(set(kinds))


def test_the_caption_says_target_window_samples_and_loss() -> None:
    text = drawn(flamegraph.render, examples.hostile())
    caption = ElementTree.fromstring(text).find(f".//{SVG}text[@class='caption']")
    assert caption is not None and caption.text == (
        "60.0 s from 2026-11-24 05:43:10 UTC, 99 samples/s: 5,935 samples, 158 lost, "
        "935 stacks truncated"
    )


def test_nothing_measured_is_said_in_words() -> None:
    assert "No sample was taken." in drawn(flamegraph.render, examples.empty())
    assert "No comparison was counted." in drawn(flamegraph.render_comparisons, examples.empty())


def test_a_hundred_thousand_different_stacks_stay_below_four_megabytes() -> None:
    choose = random.Random(20_231)
    stacks = tuple(
        NamedStack(tuple(f"function_{choose.randrange(40)}" for _ in range(30)), 0, None)
        for _ in range(20_000)
    )
    samples = tuple(Sample(index, index % 50, index % 20_000) for index in range(100_000))
    text = drawn(flamegraph.render, replace(examples.empty(), stacks=stacks, samples=samples))
    assert len(text) < 4_000_000
    assert len(frames(text)) == 10_000
    assert re.search(r">[0-9,]+ frames are too narrow to draw<", text)


def test_two_fragments_in_one_page_do_not_share_names() -> None:
    story = examples.field_story()
    graphs = (flamegraph.sample_graph(story), flamegraph.comparison_graph(story))
    text = "".join(
        flamegraph.fragment(graph, name) for graph, name in zip(graphs, "ab", strict=True)
    )
    assert re.findall(r"\bid=\"(.*?)\"", text) == ["a", "b"]
    assert "<script" not in text and "<style" not in text
