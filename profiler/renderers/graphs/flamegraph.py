"""cpu.svg and comparisons.svg: interactive flame graphs, each one file that needs nothing else.

The root is at the top, the heaviest child is at the left. Without scripts the drawing is complete;
flamegraph.js adds zoom, search and selection.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from html import escape
from importlib import resources
from typing import TextIO

from profiler.model.completeness import lookup_completeness, sample_completeness
from profiler.model.profile import Profile
from profiler.renderers.graphs.lanes import Lane, comparison_lanes, sample_lanes
from profiler.renderers.graphs.tree import Node, Tree, build, keep_heaviest
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import clip, target_label, window_label
from profiler.renderers.words.nothing import without_lookups
from profiler.renderers.words.shared import shared

_ROW_HEIGHT = 18
_FRAME_GAP = 1
_HEAD_HEIGHT = 52  # title and caption
_BAR_HEIGHT = 66  # controls and details
_DRAWN_WIDTH = 1200  # pixels that texts are cut for; the script cuts them for the real width
_CHARACTER_WIDTH = 7.25
_PIXELS_MIN = 0.05  # narrower frames are not drawn
_FRAMES_MAX = 10_000  # a file of at most a few MB that a browser zooms without delay
_FRAMES_ON_PAGE_MAX = 6_000  # of each of the two graphs there: the page stays below 5 MB
_LANES_MAX = 200  # entries of the menu
_NAME_MAX = 200
_SHADES = 8
LEGEND = (
    ("#f7b267", "function"),
    ("#a9d18a", "~inferred name"),
    ("#d3c6b4", "no name"),
    ("#8ab8ee", "kernel"),
    ("#e39ac4", "kernel, for our probes"),
    ("#8d949e", "stack truncated"),
)


@dataclass(frozen=True, slots=True)
class Graph:
    """What one flame graph shows."""

    title: str
    caption: str
    lane_word: str  # thread or container
    tree: Tree  # what is drawn of it
    weigh: Callable[[Node], str]  # what a node weighs, in words
    nothing: str  # shown when there is no lane
    legend: tuple[tuple[str, str], ...] = LEGEND  # colour, meaning


def render(profile: Profile, out: TextIO) -> None:
    """Write the samples as a flame graph with one lane for each thread."""
    write(sample_graph(profile), out)


def render_comparisons(profile: Profile, out: TextIO) -> None:
    """Write the comparisons of lookups as a flame graph with one lane for each container."""
    write(comparison_graph(profile), out)


@shared
def sample_graph(profile: Profile) -> Graph:
    """Return the graph of CPU samples."""
    known = sample_completeness(profile)
    caption = (
        f"{window_label(profile)}, {profile.frequency_hz:g} samples/s: "
        f"{known.seen:,} samples, {known.lost:,} lost, {known.incomplete:,} stacks truncated"
    )

    tree = drawn(sample_lanes(profile), "all threads")

    def weigh(node: Node) -> str:
        seconds = node.weight / profile.frequency_hz
        spent = numbers.duration(seconds * 1e9)
        return f"{numbers.counted(node.weight, 'sample')}, {spent}, {share(node, tree)}"

    return Graph(
        title=f"CPU time of {target_label(profile)}",
        caption=caption,
        lane_word="thread",
        tree=tree,
        weigh=weigh,
        nothing="No sample was taken.",
    )


@shared
def comparison_graph(profile: Profile) -> Graph:
    """Return the graph of comparisons in lookups."""
    counted = sum(container.lookups.verified for container in profile.containers)
    caption = (
        f"{window_label(profile)}: comparisons of {numbers.counted(counted, 'lookup')} counted "
        f"exactly, by the stacks that made them; {lookup_completeness(profile).lost:,} lookups lost"
    )
    if profile.lookups_not_measured is not None:
        caption = f"{window_label(profile)}: {without_lookups(profile)}"
    tree = drawn(comparison_lanes(profile), "all containers")

    def weigh(node: Node) -> str:
        plural = "" if node.weight == 1 else "s"
        return f"{numbers.count(node.weight)} comparison{plural}, {share(node, tree)}"

    return Graph(
        title=f"Comparisons in container lookups of {target_label(profile)}",
        caption=caption,
        lane_word="container",
        tree=tree,
        weigh=weigh,
        nothing=without_lookups(profile) or "No comparison was counted.",
    )


@shared
def page_graphs(profile: Profile) -> tuple[Graph, Graph]:
    """Return the graphs of samples and of comparisons, as far as report.html draws them."""
    samples, comparisons = (
        replace(graph, tree=keep_heaviest(graph.tree, _FRAMES_ON_PAGE_MAX))
        for graph in (sample_graph(profile), comparison_graph(profile))
    )
    return samples, comparisons


def share(node: Node, tree: Tree) -> str:
    """Return the part of all that a node weighs."""
    return f"{node.weight / tree.nodes[0].weight * 100:.2f} %"


def drawn(lanes: Iterable[Lane], root_label: str) -> Tree:
    """Return the nodes that are worth drawing; none of lanes without weight."""
    total = sum(lane.weight for lane in lanes)
    if not total:
        return Tree((), 0)
    tree = build(lanes, root_label, total * _PIXELS_MIN / _DRAWN_WIDTH)
    return keep_heaviest(tree, _FRAMES_MAX)


def read_asset(name: str) -> str:
    """Return the text of a style sheet or script that lies beside this module."""
    return resources.files("profiler.renderers.assets").joinpath(name).read_text(encoding="utf-8")


def fragment(graph: Graph, name: str) -> str:
    """Return the graph as an svg element with the id `name`, for a page with style and script."""
    return _svg(graph, f'id="{name}"', "", head_height=8)


def write(graph: Graph, out: TextIO) -> None:
    """Write the graph as a file of its own."""
    inside = (
        f"<style><![CDATA[\n{read_asset('flamegraph.css')}]]></style>\n"
        f'<rect class="paper" width="100%" height="100%"/>\n'
        f'<text class="title" x="10" y="24">{escape(graph.title)}</text>\n'
        f'<text class="caption" x="10" y="43">{escape(graph.caption)}</text>\n'
    )
    out.write('<?xml version="1.0" encoding="UTF-8"?>\n')
    out.write(_svg(graph, "", inside, _HEAD_HEIGHT).removesuffix("</svg>\n"))
    out.write(f"<script><![CDATA[\n{read_asset('flamegraph.js')}")
    out.write("makeFlameGraph(document.documentElement, true);\n]]></script>\n</svg>\n")


def _svg(graph: Graph, attributes: str, inside: str, head_height: int) -> str:
    nodes = graph.tree.nodes
    top = head_height + _BAR_HEIGHT
    bottom = top + (max((node.depth for node in nodes), default=0) + 1) * _ROW_HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="flame" {attributes} width="100%" '
        f'height="{bottom + 26}" role="img" aria-label="{escape(graph.title)}">\n',
        inside,
    ]
    if nodes:
        parts += [_bar(graph, head_height), '<g class="frames">\n']
        total = nodes[0].weight
        parts += [_frame(graph, node, total, top) for node in nodes]
        parts.append(f"{_left_out(graph.tree.left_out, bottom)}</g>\n")
    else:
        parts.append(f'<text class="empty" x="10" y="{top}">{escape(graph.nothing)}</text>\n')
    return "".join([*parts, "</svg>\n"])


def _bar(graph: Graph, y: int) -> str:
    """Return the controls and the line of details under them."""
    lanes = [(index, node) for index, node in enumerate(graph.tree.nodes) if node.depth < 2]
    options = "".join(
        f'<option value="{index}">{escape(clip(node.label, 60))}</option>'
        for index, node in lanes[:_LANES_MAX]
    )
    legend = "".join(
        f'<span><i style="background:{colour}"></i>{text}</span>' for colour, text in graph.legend
    )
    return (
        f'<foreignObject x="0" y="{y}" width="100%" height="32">'
        '<div xmlns="http://www.w3.org/1999/xhtml" class="flame-bar">'
        f'<select aria-label="{graph.lane_word}">{options}</select>'
        '<input type="search" placeholder="Search: text or pattern" aria-label="Search"/>'
        '<button type="button" class="reset">Reset zoom</button>'
        f'<span class="matched" role="status"></span><span class="legend">{legend}</span>'
        f'</div></foreignObject>\n<text class="details" x="10" y="{y + 52}"></text>\n'
    )


def frame_name(label: str) -> str:
    """Return what a frame is called in the drawing."""
    return clip(label, _NAME_MAX)


def _frame(graph: Graph, node: Node, total: int, top: int) -> str:
    name = frame_name(node.label)
    y = top + node.depth * _ROW_HEIGHT
    x = f"{node.start / total * 100:.4f}%"
    room = int((node.weight / total * _DRAWN_WIDTH - 8) / _CHARACTER_WIDTH)
    text = ""
    if room >= 3:
        text = f'<text dx="4" x="{x}" y="{y + 13}">{escape(clip(name, room))}</text>'
    return (
        f'<g class="frame {_colour(node)}" data-at="{node.start} {node.weight} {node.depth}">'
        f"<title>{escape(name)}\n{graph.weigh(node)}</title>"
        f'<rect x="{x}" y="{y}" width="{node.weight / total * 100:.4f}%" '
        f'height="{_ROW_HEIGHT - _FRAME_GAP}" rx="1"/>{text}</g>\n'
    )


def _left_out(count: int, y: int) -> str:
    if not count:
        return ""
    words = "frame is" if count == 1 else "frames are"
    text = f"{count:,} {words} too narrow to draw"
    return f'<text class="caption" x="10" y="{y + 16}">{text}</text>\n'


def _colour(node: Node) -> str:
    """Return the class that colours a node; functions get a shade by name, the same in all runs."""
    if node.kind != "user":
        return node.kind
    return f"user{zlib.crc32(node.label.encode(errors='replace')) % _SHADES}"
