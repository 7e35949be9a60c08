"""The report on the terminal, worst things first: a verdict on one screen, or all of it.

Plain text; on a terminal that can, the same text in colour.
"""

from __future__ import annotations

from typing import TextIO

from profiler.model.profile import Profile, ThreadGroup
from profiler.renderers.terminal import lookup_text, task_text, verdict, wait_text
from profiler.renderers.words import numbers, quality
from profiler.renderers.words.labels import children_label, clip, container_label, idle_sockets
from profiler.renderers.words.lines import Line, heading, table, table_rows, width_of, wrapped
from profiler.renderers.words.nothing import without_findings
from profiler.renderers.words.provenance import facts
from profiler.renderers.words.uses import growth

_ROWS_MAX = 10
_PATHS_RATIO = 0.1  # of the process's CPU time: threads that use less are shown without paths
_STYLES = {"heading": "bold", "bad": "bold red", "good": "green", "dim": "dim"}
_ASCII = str.maketrans({"█": "#", "±": "+/-", "…": "~", "×": "x"} | dict.fromkeys("▏▎▍▌▋▊▉", "|"))


def render(profile: Profile, out: TextIO) -> None:
    """Write the verdict; in colour only if `out` is a terminal and NO_COLOR is not set."""
    write(verdict.lines(profile, width_of(out)), out)


def render_full(profile: Profile, out: TextIO) -> None:
    """Write the whole report; in colour only if `out` is a terminal and NO_COLOR is not set."""
    write(report(profile, width_of(out)), out)


def write(lines: list[Line], out: TextIO) -> None:
    """Write lines; in colour only if `out` is a terminal and NO_COLOR is not set."""
    if not _speaks_unicode(out):
        lines = [Line(_in_ascii(line.text), line.style) for line in lines]
    if not out.isatty():
        out.writelines(f"{line.text}\n" for line in lines)
        return
    # Imported where it colours something: it takes 25 ms.
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, highlight=False, markup=False, emoji=False)
    for line in lines:
        console.print(Text(line.text, _STYLES.get(line.style, "")), soft_wrap=True)


def report(profile: Profile, width: int) -> list[Line]:
    """Return the lines of the whole report, none wider than the terminal."""
    return [
        *verdict.title(profile, width),
        *_findings(profile, width),
        *_warnings(profile, width),
        *_threads(profile, width),
        *wait_text.lines(profile, width),
        *_sockets(profile, width),
        *task_text.lines(profile, width),
        *lookup_text.lines(profile, width),
        *_growth(profile, width),
        *_quality(profile, width),
        *_provenance(profile, width),
        Line(""),
        *wrapped("", *quality.cost(profile), width),
    ]


def _speaks_unicode(out: TextIO) -> bool:
    return (out.encoding or "utf-8").lower().replace("-", "") == "utf8"


def _in_ascii(text: str) -> str:
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


def _findings(profile: Profile, width: int) -> list[Line]:
    lines = heading("FINDINGS")
    if nothing := without_findings(profile):
        lines += wrapped("  ", *nothing, width)
    for finding in profile.findings:
        lines += verdict.finding_title(finding, width)
        for evidence in finding.evidence:
            lines += wrapped("    ", evidence, "", width)
        lines += verdict.finding_advice(finding, width)
    return lines


def _warnings(profile: Profile, width: int) -> list[Line]:
    lines = heading("WARNINGS") if profile.warnings else []
    for warning in profile.warnings:
        lines += wrapped("  - ", warning, "", width)
    return lines


def _threads(profile: Profile, width: int) -> list[Line]:
    explanation = "CPU over the window, waits = ready but waiting for a CPU"
    lines = heading("HOT THREADS", explanation, width)
    if not profile.threads:
        return [*lines, Line("  No thread ran.", "dim")]
    shown, rest = profile.thread_groups[:_ROWS_MAX], profile.thread_groups[_ROWS_MAX:]
    rows = [
        (
            group.title,
            clip(group.name, 16),
            f"×{group.count:,}" if group.is_many else str(group.tids[0]),
            numbers.percent_cell(group.cpu_ratio),
            numbers.percent_cell(group.waiting_ratio),
            numbers.column(group.samples),
        )
        for group in shown
    ]
    titles, *cells = table_rows(("thread", "name", "tid", "CPU", "waits", "samples"), rows, width)
    lines += titles
    least_ratio = _PATHS_RATIO * profile.cpu_ratio
    for group, row in zip(shown, cells, strict=True):
        lines += row
        lines += _paths(group, width) if group.cpu_ratio >= least_ratio else []
    if rest:
        count = sum(group.count for group in rest)
        share = numbers.percent(sum(group.cpu_ratio for group in rest))
        lines += wrapped("  ", f"and {count:,} more, together {share}", "dim", width)
    lines += wrapped("  ", children_label(profile), "", width)
    for note in _notes(shown, least_ratio):
        lines += wrapped("  ", note, "dim", width)
    return lines


def _notes(shown: tuple[ThreadGroup, ...], least_ratio: float) -> list[str]:
    """Return what explains the table of threads, as far as that is needed."""
    notes = []
    if any(group.is_many for group in shown):
        notes.append("×N: threads that run the same; waits: of each on average")
    if any(group.paths and group.cpu_ratio >= least_ratio for group in shown):
        notes.append("below a thread: shares of its samples; a > b: a calls b, also through others")
    if any(group.waiting_ratio is None for group in shown):
        notes.append("?: not known")
    return notes


def _paths(group: ThreadGroup, width: int) -> list[Line]:
    return [
        line
        for path in group.paths
        for line in wrapped(f"    {numbers.percent(path.ratio):>5}  ", path.label, "", width)
    ]


def _sockets(profile: Profile, width: int) -> list[Line]:
    if not profile.sockets:
        return []
    explanation = "a queue that stays full, or drops: the process cannot keep up"
    lines = heading("UDP SOCKETS", explanation, width)
    busy = [socket for socket in profile.sockets if not socket.is_idle]
    rows = [
        (
            socket.local,
            numbers.size(socket.receive_queue_bytes_max),
            numbers.size(socket.receive_queue_bytes_mean),
            numbers.column(socket.drops),
        )
        for socket in busy[:_ROWS_MAX]
    ]
    if rows:
        lines += table(("socket", "queue max", "queue mean", "drops"), rows, width)
    rest = busy[_ROWS_MAX:]
    if rest:
        drops = sum(socket.drops for socket in rest)
        lines += wrapped("  ", f"and {len(rest)} more, together {drops:,} drops", "dim", width)
    return lines + wrapped("  ", idle_sockets(profile), "dim", width)


def _growth(profile: Profile, width: int) -> list[Line]:
    known = growth(profile)
    if not known:
        return []
    lines = heading("GROWTH", "elements at the start and at the end of the window", width)
    rows = [
        (
            container_label(container),
            numbers.column(container.elements_start),
            numbers.column(container.elements_end),
            numbers.change(change),
            numbers.change(change * 60 / profile.window.duration_s),
        )
        for container, change in known[:_ROWS_MAX]
        if change
    ]
    if not rows:
        return [*lines, Line("  No container grew or shrank.", "good")]
    return lines + table(("container", "start", "end", "change", "per minute"), rows, width)


def _quality(profile: Profile, width: int) -> list[Line]:
    lines = heading("DATA QUALITY")
    for note, style in quality.notes(profile):
        lines += wrapped("  ", note, style, width)
    return lines


def _provenance(profile: Profile, width: int) -> list[Line]:
    lines = heading("HOW THIS WAS MADE")
    for name, value in facts(profile):
        lines += wrapped(f"  {name:<14}", value, "", width)
    return lines
