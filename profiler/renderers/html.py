"""report.html: the whole profile on one page that needs nothing else.

The same content as the terminal report, with every row, and with both flame graphs inside. A policy
in the page forbids it to load anything.
"""

from __future__ import annotations

from typing import TextIO

from profiler.model.profile import Profile, Severity, ThreadGroup
from profiler.renderers import flamegraph, numbers, quality
from profiler.renderers.flamegraph import Graph, comparison_graph, read_asset, sample_graph
from profiler.renderers.labels import (
    children_label,
    container_label,
    early_end,
    host_label,
    idle_sockets,
    target_label,
    total_cpu_label,
    window_label,
)
from profiler.renderers.lookup_html import call_sites, containers, growth, histograms, operations
from profiler.renderers.markup import Markup, element, section, share_bar, table, text, two_lines
from profiler.renderers.nothing import without_findings
from profiler.renderers.provenance import facts
from profiler.renderers.uses import all_lookups

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_START = 'for (const svg of document.querySelectorAll("svg.flame")) { makeFlameGraph(svg, false); }'


def render(profile: Profile, out: TextIO) -> None:
    """Write the page."""
    title = text(target_label(profile))
    sections = (
        _header(profile),
        _tiles(profile),
        _findings(profile),
        _warnings(profile),
        _threads(profile),
        _sockets(profile),
        operations(profile),
        containers(profile),
        call_sites(profile),
        histograms(profile),
        growth(profile),
        _graph("cpu-graph", "Where CPU time goes", sample_graph(profile)),
        _graph("comparisons-graph", "Where comparisons come from", comparison_graph(profile)),
        _quality(profile),
        _provenance(profile),
    )
    out.write(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n"
        f"<style>\n{read_asset('report.css')}{read_asset('flamegraph.css')}</style>\n"
        "</head>\n<body>\n<main>\n"
    )
    out.writelines(f"{section}\n" for section in sections if section)
    script = read_asset("flamegraph.js") + _START
    out.write(f"</main>\n<script>\n{script}\n</script>\n</body>\n</html>\n")


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
        who = f"{len(busiest.tids):,} threads" if busiest.is_many else "the busiest thread"
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


def _findings(profile: Profile) -> Markup:
    cards = []
    for finding in profile.findings:
        title = element("h3", f"{finding.rank}. {finding.title}")
        evidence = [element("p", line) for line in finding.evidence]
        advice = element("p", finding.advice, kind="advice")
        kind = "finding note" if finding.severity is Severity.NOTE else "finding"
        cards.append(element("div", title, *evidence, advice, kind=kind))
    if not cards:
        words, kind = without_findings(profile)
        cards = [element("p", words, kind=kind)]
    return section("Findings", *cards)


def _warnings(profile: Profile) -> Markup:
    lines = [element("p", warning) for warning in profile.warnings]
    return section("Warnings", *lines) if lines else Markup("")


def _threads(profile: Profile) -> Markup:
    groups = profile.thread_groups
    rows = [
        (
            Markup(two_lines(group.title, _which(group)) + _paths(group)),
            share_bar(group.cpu_ratio),
            numbers.percent_cell(group.waiting_ratio),
            f"{group.samples:,}",
        )
        for group in groups
    ]
    explanation = (
        "CPU time over the window; waiting means ready to run, but not on a CPU, each of several "
        "threads on average. Below a thread: "
        "its heaviest paths, as shares of its samples. a > b: a calls b, perhaps through others."
    )
    if any(group.waiting_ratio is None for group in groups):
        explanation += f" {numbers.UNKNOWN}: not known."
    return section(
        "Hot threads",
        element("p", explanation, kind="faint"),
        table(("Thread", "CPU", "Waiting", "Samples"), rows),
        element("p", said) if (said := children_label(profile)) else "",
    )


def _which(group: ThreadGroup) -> str:
    if group.is_many:
        return f"{group.name}, {len(group.tids):,} threads"
    return f"{group.name}, tid {group.tids[0]}"


def _paths(group: ThreadGroup) -> Markup:
    lines = [
        element("small", f"{numbers.percent(path.ratio)}  {path.label}", kind="path")
        for path in group.paths
    ]
    return Markup("".join(lines))


def _sockets(profile: Profile) -> Markup:
    if not profile.sockets:
        return Markup("")
    rows = [
        (
            element("b", socket.local),
            numbers.size(socket.receive_queue_bytes_max),
            numbers.size(socket.receive_queue_bytes_mean),
            element("span", f"{socket.drops:,}", kind="bad" if socket.drops else ""),
        )
        for socket in profile.sockets
        if not socket.is_idle
    ]
    explanation = "A queue that stays full, or drops: the process cannot keep up."
    return section(
        "UDP sockets",
        element("p", f"{explanation} {idle_sockets(profile)}".rstrip(), kind="faint"),
        table(("Socket", "Longest queue", "Mean queue", "Drops"), rows) if rows else "",
    )


def _graph(name: str, title: str, graph: Graph) -> Markup:
    drawing = element("div", Markup(flamegraph.fragment(graph, name)), kind="graph")
    return section(title, element("p", graph.caption, kind="faint"), drawing)


def _quality(profile: Profile) -> Markup:
    said = (*quality.notes(profile), quality.cost(profile))
    return section("Data quality", *(element("p", note, kind=kind) for note, kind in said))


def _provenance(profile: Profile) -> Markup:
    known = facts(profile)
    pairs = [element("dt", name) + element("dd", element("code", value)) for name, value in known]
    listed = element("dl", *map(Markup, pairs))
    return section("How this was made", listed)
