"""The verdict: what a run found, on one screen. What does not fit is in the whole report.

Every finding is named before any of them is explained: first come their titles, then what to do,
then warnings, then what shows it, for as long as there is room.
"""

from __future__ import annotations

from itertools import chain, takewhile

from profiler.model.finding import Finding, Severity
from profiler.model.profile import Profile, ThreadGroup
from profiler.renderers.words import numbers, quality
from profiler.renderers.words.labels import (
    clip,
    early_end,
    host_label,
    target_label,
    total_cpu_label,
    window_label,
)
from profiler.renderers.words.lines import WIDTH, Line, heading, wrapped
from profiler.renderers.words.nothing import without_findings

# A screen has 24 lines. Below the verdict come the folder of the results and the shell's prompt.
LINES_MAX = 22
_TITLE_LINES_MAX = 4  # of a finding: only the names of a hostile target make it longer
_MOST_LEFT_OUT = ["9 findings", "9 warnings"]
_THREADS_MAX = 3
_THREAD_RATIO = 0.05  # of the process's CPU time: a thread that uses less is not of the busiest


class _Room:
    """The lines that are left on the screen."""

    def __init__(self, lines: int) -> None:
        self._left = lines

    def take(self, lines: list[Line]) -> list[Line]:
        """Return these lines if there is room for all of them, else none."""
        if len(lines) > self._left:
            return []
        self._left -= len(lines)
        return lines


def lines(profile: Profile, width: int) -> list[Line]:
    """Return the lines of the verdict."""
    threads = [group for group in profile.thread_groups[:_THREADS_MAX] if _is_busy(profile, group)]
    names = [_thread(group, width) for group in threads]
    known = [
        Line(""),
        *wrapped("", *quality.cost(profile), width),
        *wrapped("", *quality.summary(profile), width),
    ]
    top = title(profile, width)
    longest = wrapped("", *_elsewhere(_MOST_LEFT_OUT), width)
    certain = (*top, *chain(*names), *heading("FINDINGS"), *known, *longest)
    most = LINES_MAX * max(WIDTH, width) // width  # a narrow window is mostly a high one
    room = _Room(most - len(certain))
    findings, more = _findings(profile, width, room)
    paths = [room.take(_path(group, width)) for group in threads]
    busiest = chain(*chain(*zip(names, paths, strict=True)))
    last = wrapped("", *_elsewhere(more), width)
    return [*top, *busiest, *heading("FINDINGS"), *findings, *known, *last]


def title(profile: Profile, width: int) -> list[Line]:
    """Return what was profiled, where and when, and how much of the CPU it used."""
    began = ", ".join(filter(None, (window_label(profile), host_label(profile))))
    return [
        *wrapped("", target_label(profile), "heading", width),
        *wrapped("", began, "", width),
        *wrapped("", early_end(profile), "bad", width),
        *heading(f"CPU: {total_cpu_label(profile)}", width=width),
    ]


def finding_title(finding: Finding, width: int) -> list[Line]:
    """Return the lines of a finding's title."""
    style = "" if finding.severity is Severity.NOTE else "bad"
    return wrapped(f"{finding.rank:>2}. ", finding.title, style, width)


def finding_advice(finding: Finding, width: int) -> list[Line]:
    """Return the lines of a finding's advice."""
    return wrapped("    -> ", finding.advice, "", width)


def _evidence(text: str, width: int) -> list[Line]:
    return wrapped("    ", text, "", width)


def _findings(profile: Profile, width: int, room: _Room) -> tuple[list[Line], list[str]]:
    """Return the lines of findings and of warnings, and of what there is more than these."""
    said = without_findings(profile)
    nothing = wrapped("  ", *said, width) if said else []
    room.take(nothing)
    titles = [finding_title(one, width)[:_TITLE_LINES_MAX] for one in profile.findings]
    titles = list(takewhile(bool, map(room.take, titles)))
    shown = profile.findings[: len(titles)]
    advice = [
        [] if one.severity is Severity.NOTE else room.take(finding_advice(one, width))
        for one in shown
    ]
    warnings = [room.take(wrapped("  ! ", one, "bad", width)) for one in profile.warnings]
    made = nothing
    for finding, first, last in zip(shown, titles, advice, strict=True):
        evidence = takewhile(bool, (room.take(_evidence(one, width)) for one in finding.evidence))
        made += [*first, *chain(*evidence), *last]
    left_out = (
        (len(profile.findings) - len(shown), "finding"),
        (warnings.count([]), "warning"),
    )
    return [*made, *chain(*warnings)], [numbers.counted(*one) for one in left_out if one[0]]


def _is_busy(profile: Profile, group: ThreadGroup) -> bool:
    return 0 < group.cpu_ratio >= _THREAD_RATIO * profile.cpu_ratio


def _thread(group: ThreadGroup, width: int) -> list[Line]:
    """Return the line of one thread, or of several that run the same."""
    many = f" ×{group.count:,}" if group.is_many else ""
    share = f"  {numbers.percent_cell(group.cpu_ratio):>7}  "
    name = clip(group.title, max(width - len(share) - len(many), 1))
    return [Line(f"{share}{name}{many}")]


def _path(group: ThreadGroup, width: int) -> list[Line]:
    """Return the heaviest path of a thread, if there is one."""
    return [
        line
        for path in group.paths[:1]
        for line in wrapped(f"{'':11}{numbers.percent(path.ratio)} in ", path.label, "dim", width)
    ]


def _elsewhere(more: list[str]) -> tuple[str, str]:
    """Return (sentence, style) on where all the rest is."""
    what = f"{' and '.join(more)} more" if more else "all of it"
    return f"{what}: report.html, or ebpf-prof report FOLDER --full", "bad" if more else "dim"
