"""The report on the terminal: 80 columns, worst things first.

Plain text; on a terminal that can, the same text in colour.
"""

from __future__ import annotations

from typing import TextIO

from profiler.model.profile import Finding, Profile, Severity, ThreadGroup
from profiler.renderers import lookup_text, numbers, quality
from profiler.renderers.labels import (
    children_label,
    clip,
    container_label,
    early_end,
    idle_sockets,
    target_label,
    window_label,
    without_findings,
)
from profiler.renderers.lines import WIDTH, Line, heading, table, wrapped
from profiler.renderers.uses import growth

_ROWS_MAX = 10
_FINDINGS_MAX = 5
_PATHS_RATIO = 0.1  # of the process's CPU time: threads that use less are shown without paths
_STYLES = {"heading": "bold", "bad": "bold red", "good": "green", "dim": "dim"}
_ASCII = str.maketrans({"█": "#", "±": "+/-", "…": "~", "×": "x"} | dict.fromkeys("▏▎▍▌▋▊▉", "|"))


def render(profile: Profile, out: TextIO) -> None:
    """Write the report; in colour only if `out` is a terminal and NO_COLOR is not set."""
    write(report(profile), out)


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

    console = Console(file=out, width=WIDTH, highlight=False, markup=False, emoji=False)
    for line in lines:
        console.print(Text(line.text, _STYLES.get(line.style, "")), soft_wrap=True)


def report(profile: Profile) -> list[Line]:
    """Return the lines of the report, none wider than 80 columns."""
    return [
        *_title(profile),
        *_findings(profile),
        *_warnings(profile),
        *_threads(profile),
        *_sockets(profile),
        *lookup_text.lines(profile),
        *_growth(profile),
        *_quality(profile),
    ]


def _speaks_unicode(out: TextIO) -> bool:
    return (out.encoding or "utf-8").lower().replace("-", "") == "utf8"


def _in_ascii(text: str) -> str:
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode()


def _title(profile: Profile) -> list[Line]:
    rate = f"{profile.frequency_hz:g} samples/s"
    title = f"{target_label(profile)}, {window_label(profile)}, {rate}"
    return wrapped("", title, "heading") + wrapped("", early_end(profile), "bad")


def _findings(profile: Profile) -> list[Line]:
    lines = heading("FINDINGS")
    if not profile.findings:
        return lines + wrapped("  ", *without_findings(profile))
    for finding in profile.findings[:_FINDINGS_MAX]:
        lines += wrapped(f"{finding.rank:>2}. ", clip(finding.title, 300), _style(finding))
        for evidence in finding.evidence:
            lines += wrapped("    ", clip(evidence, 300))
        lines += wrapped("    -> ", clip(finding.advice, 300))
    left_out = len(profile.findings) - _FINDINGS_MAX
    return lines + ([Line(f"    and {left_out} more in report.html")] if left_out > 0 else [])


def _style(finding: Finding) -> str:
    return "" if finding.severity is Severity.NOTE else "bad"


def _warnings(profile: Profile) -> list[Line]:
    lines = heading("WARNINGS") if profile.warnings else []
    for warning in profile.warnings:
        lines += wrapped("  - ", clip(warning, 300))
    return lines


def _threads(profile: Profile) -> list[Line]:
    lines = heading("HOT THREADS", "CPU over the window, waits = ready but waiting for a CPU")
    if not profile.threads:
        return [*lines, Line("  No thread ran.", "dim")]
    shown, rest = profile.thread_groups[:_ROWS_MAX], profile.thread_groups[_ROWS_MAX:]
    rows = [
        (
            group.title,
            clip(group.name, 16),
            f"×{len(group.tids):,}" if group.is_many else str(group.tids[0]),
            numbers.percent_cell(group.cpu_ratio),
            numbers.percent_cell(group.waiting_ratio),
            numbers.column(group.samples),
        )
        for group in shown
    ]
    titles, *cells = table(("thread", "name", "tid", "CPU", "waits", "samples"), rows)
    lines.append(titles)
    least_ratio = _PATHS_RATIO * profile.cpu_ratio
    for group, row in zip(shown, cells, strict=True):
        lines.append(row)
        lines += _paths(group) if group.cpu_ratio >= least_ratio else []
    if rest:
        count = sum(len(group.tids) for group in rest)
        share = numbers.percent(sum(group.cpu_ratio for group in rest))
        lines.append(Line(f"  and {count:,} more, together {share}", "dim"))
    lines += wrapped("  ", children_label(profile))
    if any(group.is_many for group in shown):
        lines.append(Line("  ×N: threads that run the same; waits: of each on average", "dim"))
    if any(group.paths and group.cpu_ratio >= least_ratio for group in shown):
        words = "below a thread: shares of its samples; a > b: a calls b, also through others"
        lines.append(Line(f"  {words}", "dim"))
    if any(group.waiting_ratio is None for group in shown):
        lines.append(Line("  ?: not known", "dim"))
    return lines


def _paths(group: ThreadGroup) -> list[Line]:
    return [
        line
        for path in group.paths
        for line in wrapped(f"    {numbers.percent(path.ratio):>5}  ", clip(path.label, 300))
    ]


def _sockets(profile: Profile) -> list[Line]:
    if not profile.sockets:
        return []
    lines = heading("UDP SOCKETS", "a queue that stays full, or drops: the process cannot keep up")
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
        lines += table(("socket", "queue max", "queue mean", "drops"), rows)
    rest = busy[_ROWS_MAX:]
    if rest:
        drops = sum(socket.drops for socket in rest)
        lines.append(Line(f"  and {len(rest)} more, together {drops:,} drops", "dim"))
    return lines + wrapped("  ", idle_sockets(profile), "dim")


def _growth(profile: Profile) -> list[Line]:
    known = growth(profile)
    if not known:
        return []
    lines = heading("GROWTH", "elements at the start and at the end of the window")
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
    return lines + table(("container", "start", "end", "change", "per minute"), rows)


def _quality(profile: Profile) -> list[Line]:
    lines = heading("DATA QUALITY")
    for note, style in quality.notes(profile):
        lines += wrapped("  ", note, style)
    return [*lines, Line(""), Line(*quality.cost(profile))]
