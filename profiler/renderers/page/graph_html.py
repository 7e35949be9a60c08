"""Flame graphs on the page."""

from __future__ import annotations

from profiler.renderers.graphs import flamegraph
from profiler.renderers.graphs.flamegraph import Graph
from profiler.renderers.page.markup import Markup, element


def draw_graph(name: str, graph: Graph) -> Markup:
    """Return a graph under its caption; links go to it by its name."""
    drawing = element("div", Markup(flamegraph.fragment(graph, name)), kind="graph")
    return Markup(element("p", graph.caption, kind="faint") + drawing)
