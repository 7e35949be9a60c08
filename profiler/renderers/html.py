"""report.html: the whole profile on one page that needs nothing else.

The same content as the terminal report, with every row, and with both flame graphs inside. A policy
in the page forbids it to load anything.
"""

from __future__ import annotations

from typing import TextIO

from profiler.model.profile import Profile
from profiler.renderers import flamegraph, numbers
from profiler.renderers.assets import read_asset
from profiler.renderers.flamegraph import Graph, comparison_graph, sample_graph
from profiler.renderers.labels import finding_share, printable, target_label, window_label
from profiler.renderers.lookup_html import call_sites, containers, growth, histograms
from profiler.renderers.markup import Markup, element, share_bar, table, text, two_lines
from profiler.renderers.quality_html import quality, tiles
from profiler.renderers.thread_groups import ThreadGroup, thread_groups

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
_START = 'for (const svg of document.querySelectorAll("svg.flame")) { makeFlameGraph(svg, false); }'


def render(profile: Profile, out: TextIO) -> None:
    """Write the page."""
    title = text(target_label(profile))
    sections = (
        _header(profile),
        tiles(profile),
        _findings(profile),
        _warnings(profile),
        _threads(profile),
        _sockets(profile),
        containers(profile),
        call_sites(profile),
        histograms(profile),
        growth(profile),
        _graph("cpu-graph", "Where CPU time goes", sample_graph(profile)),
        _graph("comparisons-graph", "Where comparisons come from", comparison_graph(profile)),
        quality(profile),
        _provenance(profile),
    )
    out.write(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n"
        f"<style>\n{read_asset('report.css')}{flamegraph.stylesheet()}</style>\n"
        "</head>\n<body>\n<main>\n"
    )
    out.writelines(f"{section}\n" for section in sections if section)
    out.write(f"</main>\n<script>\n{flamegraph.script()}{_START}\n</script>\n</body>\n</html>\n")


def _header(profile: Profile) -> Markup:
    window = f"{window_label(profile)}, {profile.frequency_hz:g} samples a second"
    parts = [element("h1", target_label(profile)), element("p", window, kind="faint")]
    if profile.target.exited:
        parts.append(element("p", "The process ended while it was recorded.", kind="bad"))
    elif profile.stopped_by != "duration":
        parts.append(element("p", f"Ended early: {profile.stopped_by}.", kind="bad"))
    return element("header", *parts)


def _findings(profile: Profile) -> Markup:
    cards = []
    for finding in sorted(profile.findings, key=lambda finding: finding.rank):
        share = ""
        if finding.cpu_ratio is not None:
            share = f" ({finding_share(finding)})"
        title = element("h3", f"{finding.rank}. {finding.title}", share)
        evidence = [element("p", line) for line in finding.evidence]
        advice = element("p", finding.advice, kind="advice")
        cards.append(element("div", title, *evidence, advice, kind="finding"))
    if not cards:
        is_blank = not profile.samples and not profile.containers
        words = "Nothing was measured." if is_blank else "Nothing stands out."
        cards = [element("p", words, kind="bad" if is_blank else "good")]
    return element("section", element("h2", "Findings"), *cards)


def _warnings(profile: Profile) -> Markup:
    if not profile.warnings:
        return Markup("")
    lines = [element("p", warning) for warning in profile.warnings]
    return element("section", element("h2", "Warnings"), *lines)


def _threads(profile: Profile) -> Markup:
    rows = [
        (
            two_lines(group.title, _which(group)),
            share_bar(group.cpu_ratio, numbers.percent_cell(group.cpu_ratio)),
            numbers.percent_cell(group.run_delay_ratio),
            numbers.exact(group.samples),
        )
        for group in thread_groups(profile)
    ]
    explanation = "CPU time over the window; waiting means ready to run, but not on a CPU."
    return element(
        "section",
        element("h2", "Hot threads"),
        element("p", explanation, kind="faint"),
        table(("Thread", "CPU", "Waiting", "Samples"), rows),
    )


def _which(group: ThreadGroup) -> str:
    if group.is_many:
        return f"{group.name}, {len(group.threads):,} threads of less than 1 % each"
    return f"{group.name}, tid {group.threads[0].tid}"


def _sockets(profile: Profile) -> Markup:
    if not profile.sockets:
        return Markup("")
    busy = [socket for socket in profile.sockets if not socket.is_idle]
    rows = [
        (
            element("b", socket.local),
            numbers.size(socket.receive_queue_bytes_max),
            numbers.size(socket.receive_queue_bytes_mean),
            element("span", numbers.exact(socket.drops), kind="bad" if socket.drops else ""),
        )
        for socket in busy
    ]
    idle = len(profile.sockets) - len(busy)
    explanation = "A queue that stays full, or drops: the process cannot keep up."
    if idle:
        explanation += f" {numbers.counted(idle, 'socket')} had nothing in the queue in any sample."
    return element(
        "section",
        element("h2", "UDP sockets"),
        element("p", explanation, kind="faint"),
        table(("Socket", "Longest queue", "Mean queue", "Drops"), rows) if rows else "",
    )


def _graph(name: str, title: str, graph: Graph) -> Markup:
    drawing = Markup(flamegraph.fragment(graph, name))
    return element(
        "section",
        element("h2", title),
        element("p", graph.caption, kind="faint"),
        element("div", drawing, kind="graph"),
    )


def _provenance(profile: Profile) -> Markup:
    target = profile.target
    facts = (
        ("Tool", f"ebpf-prof {profile.tool_version}"),
        ("Command", " ".join(map(printable, profile.command))),
        ("Executable", target.exe),
        ("Command line", " ".join(map(printable, target.command_line))),
        ("Build ID", target.build_id or "unknown"),
        ("Version", target.version or "unknown"),
        ("Container", target.container_id or "none"),
        ("Started", profile.started_at),
        ("Ended by", profile.stopped_by),
    )
    pairs = [element("dt", name) + element("dd", element("code", value)) for name, value in facts]
    listed = element("dl", *map(Markup, pairs))
    return element("section", element("h2", "How this was made"), listed)
