"""The difference of two profiles as one page that needs nothing else, with its flame graph."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TextIO

from profiler.model.difference import ContainerChanges, CpuChanges, Difference
from profiler.renderers.graphs import flamegraph
from profiler.renderers.graphs.flamegraph import Graph
from profiler.renderers.page.anchors import slug
from profiler.renderers.page.markup import Markup, element
from profiler.renderers.page.page import write_page
from profiler.renderers.page.sections import Section, draw, section
from profiler.renderers.page.tables import Column, Row, lines, share, table
from profiler.renderers.words.difference_labels import (
    UNITS,
    container_cells,
    facts,
    no_change,
    signed_percent,
    within_error,
)

_STYLES = ("report.css", "flamegraph.css")
_SCRIPTS = ("flamegraph.js", "report.js")
_SHARES = (Column("Before", "bar"), Column("After", "bar"))


def render(difference: Difference, graph: Graph, out: TextIO) -> None:
    """Write the page."""
    parts = [
        section("Where CPU time changed", *_graph(graph), is_open=True),
        *_cpu("Threads", "Thread", difference.threads),
        *_containers(difference.containers or ContainerChanges()),
        *_cpu("Functions with what they call", "Function", difference.functions),
    ]
    page = (
        _header(difference),
        *map(draw, parts),
        element("p", f"{UNITS} {within_error(difference)}", kind="faint"),
    )
    write_page("Difference of two recordings", page, out, _STYLES, _SCRIPTS)


def _header(difference: Difference) -> Markup:
    cells = (("", "Before", "After"), *facts(difference))
    rows = (element("tr", *(element("td", cell) for cell in row)) for row in cells)
    notes = [element("p", note, kind="bad") for note in difference.notes]
    said = no_change(difference)
    return element(
        "header",
        element("h1", "What changed between two recordings"),
        element("div", element("table", *rows), kind="scroll"),
        *notes,
        element("p", said, kind="good") if said else "",
    )


def _graph(graph: Graph) -> tuple[Markup, Markup]:
    drawing = element("div", Markup(flamegraph.fragment(graph, "difference-graph")), kind="graph")
    return element("p", graph.caption, kind="faint"), drawing


def _cpu(title: str, what: str, changes: CpuChanges) -> Iterator[Section]:
    """Yield the part on these changes, if there are any."""
    rows = [
        Row(
            f"{slug(what)}-{number}",
            (
                lines(change.names[0]),
                share(change.before_ratio),
                share(change.after_ratio),
                lines(signed_percent(change.delta_ratio)),
            ),
        )
        for number, change in enumerate(changes.changed)
    ]
    if rows:
        columns = [Column(what), *_SHARES, Column("Change")]
        yield section(title, table(columns, rows), is_open=True)


def _containers(changes: ContainerChanges) -> Iterator[Section]:
    rows = [
        Row(f"container-{number}", tuple(map(lines, (change.name, *container_cells(change)))))
        for number, change in enumerate(changes.changed)
    ]
    if rows:
        words = element("p", "Before, after, change: time of lookups, of the window.", kind="faint")
        titles = ("Container", "Before", "After", "Change", "Lookups/s", "Elements")
        yield section("Containers", words, table(list(map(Column, titles)), rows), is_open=True)
