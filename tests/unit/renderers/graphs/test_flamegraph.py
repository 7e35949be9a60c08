from __future__ import annotations

import io
import random
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from profiler.model.profile import NamedStack
from profiler.model.recording import Sample
from profiler.renderers.graphs import flamegraph
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


def test_every_kind_of_frame_has_its_own_colour() -> None:
    calls = ("main", "~build_peer", "asterisk+0x10", "read", "do_read", "asm_exc_int3")
    stack = NamedStack(calls, 2, "no rule")
    sample = Sample(0, 1, 0)
    profile = replace(examples.empty(), stacks=(stack,), samples=(sample,))
    kinds = [kind for kind, _, _ in frames(drawn(flamegraph.render, profile))]
    assert kinds[:3] == ["root", "lane", "truncated"]
    assert kinds[4:6] == ["inferred", "unnamed"]
    assert kinds[7:] == ["kernel", "probe"]
    assert kinds[3].startswith("user") and kinds[6].startswith("user")
    style = drawn(flamegraph.render, profile)
    fills = [re.search(rf"\.{kind} rect {{ fill: (\S+);", style) for kind in kinds]
    assert len({fill[1] for fill in fills if fill}) == len(set(kinds))


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


@pytest.mark.parametrize("name", ["flamegraph.css", "flamegraph.js", "report.css", "report.js"])
def test_assets_can_be_put_into_a_page_as_they_are(name: str) -> None:
    """Nothing in them ends the element or the CDATA section that they are put into."""
    text = flamegraph.read_asset(name)
    assert text.isascii() and text.endswith("\n")
    assert "</" not in text and "]]>" not in text and "<!--" not in text


def test_the_caption_counts_the_lookups_whose_comparisons_are_known() -> None:
    assert (
        "41,204 lookups counted exactly"
        in flamegraph.comparison_graph(examples.field_story()).caption
    )
