"""report.html: the whole profile on one page that needs nothing else.

The same content as the terminal report, with every row, and with all flame graphs inside. A policy
in the page forbids it to load anything.
"""

from __future__ import annotations

from typing import TextIO

from profiler.model.profile import Profile
from profiler.renderers.graphs import flamegraph
from profiler.renderers.graphs.flamegraph import Graph
from profiler.renderers.page.anchors import COMPARISONS_GRAPH, CPU_GRAPH
from profiler.renderers.page.findings_html import findings
from profiler.renderers.page.graph_html import draw_graph
from profiler.renderers.page.lookup_html import (
    call_sites,
    containers,
    growth,
    histograms,
    operations,
)
from profiler.renderers.page.markup import Markup, element
from profiler.renderers.page.page import write_page
from profiler.renderers.page.sections import Section, contents, draw, section
from profiler.renderers.page.task_html import task_processors
from profiler.renderers.page.thread_html import sockets, threads
from profiler.renderers.page.timeline import time_line
from profiler.renderers.page.wait_html import locks, off_cpu
from profiler.renderers.words import name_hint, numbers, quality
from profiler.renderers.words.labels import (
    container_label,
    early_end,
    host_label,
    target_label,
    total_cpu_label,
    window_label,
)
from profiler.renderers.words.provenance import facts
from profiler.renderers.words.uses import all_lookups

_STYLES = ("report.css", "flamegraph.css", "timeline.css")
_SCRIPTS = ("flamegraph.js", "timeline.js", "report.js")


def render(profile: Profile, out: TextIO) -> None:
    """Write the page."""
    parts = [part for part in _sections(profile) if part is not None]
    page = (_header(profile), _tiles(profile), contents(parts), *map(draw, parts))
    write_page(target_label(profile), page, out, _STYLES, _SCRIPTS)


def _sections(profile: Profile) -> tuple[Section | None, ...]:
    """Return the parts of the page in their order; None for one that has nothing to show."""
    samples, comparisons = flamegraph.page_graphs(profile)
    return (
        findings(profile),
        _warnings(profile),
        threads(profile),
        time_line(profile, samples.tree),
        _graph(CPU_GRAPH, "Where CPU time goes", samples, is_open=True),
        locks(profile),
        off_cpu(profile),
        task_processors(profile),
        containers(profile),
        call_sites(profile),
        operations(profile),
        histograms(profile),
        growth(profile),
        _graph(COMPARISONS_GRAPH, "Where comparisons come from", comparisons),
        sockets(profile),
        _quality(profile),
        _provenance(profile),
    )


def _header(profile: Profile) -> Markup:
    window = f"{window_label(profile)}, {profile.frequency_hz:g} samples a second"
    machine = ", ".join(filter(None, (window, host_label(profile))))
    parts = [
        element("h1", target_label(profile)),
        element("p", machine, kind="faint"),
        element("p", f"CPU: {total_cpu_label(profile)}"),
    ]
    if ended := early_end(profile):
        parts.append(element("p", ended, kind="bad"))
    return element("header", *parts)


def _tiles(profile: Profile) -> Markup:
    """Return the few numbers that come first."""
    shown = []
    if profile.thread_groups:
        busiest = profile.thread_groups[0]
        who = f"{busiest.count:,} threads" if busiest.is_many else "the busiest thread"
        shown.append((numbers.percent(busiest.cpu_ratio), f"CPU of {who}, {busiest.title}"))
    if profile.containers:
        worst = profile.containers[0]
        share = numbers.percent(worst.estimated_duration_ns / profile.window.duration_ns)
        shown.append((share, f"of the window in lookups in {container_label(worst)}"))
        rate = all_lookups(profile).rate(profile.window.duration_s)
        shown.append((rate, "container lookups a second"))
    allowed = profile.cost.budget_ratio
    budget = "without a budget" if allowed is None else f"of {numbers.percent(allowed)} allowed"
    taken = numbers.percent(profile.cost.measured_ratio)
    shown.append((taken, f"of one CPU was the cost, {budget}"))
    cards = [
        element("div", element("b", value), element("small", words), kind="tile")
        for value, words in shown
    ]
    return element("div", *cards, kind="tiles")


def _warnings(profile: Profile) -> Section | None:
    if not profile.warnings:
        return None
    lines = (element("p", warning) for warning in profile.warnings)
    return section("Warnings", *lines, is_open=True)


def _graph(name: str, title: str, graph: Graph, *, is_open: bool = False) -> Section:
    return section(title, draw_graph(name, graph), is_open=is_open)


def _quality(profile: Profile) -> Section:
    said = (*quality.notes(profile), quality.cost(profile))
    lines = (element("p", note, kind=kind) for note, kind in said)
    return section("Data quality", *lines, _names(profile))


def _names(profile: Profile) -> Markup:
    """Return the command that names frames, for who has the recording."""
    command = name_hint.command(profile, "recording")
    if command is None:
        return Markup("")
    words = element("p", "For their names, in the folder of the recording:")
    return Markup(words + element("p", element("code", command)))


def _provenance(profile: Profile) -> Section:
    known = facts(profile)
    pairs = [element("dt", name) + element("dd", element("code", value)) for name, value in known]
    listed = element("dl", *map(Markup, pairs))
    return section("How this was made", listed)
