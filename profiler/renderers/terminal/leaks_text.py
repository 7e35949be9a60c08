"""Who leaks, on the terminal: the suspects, then of which types most objects are alive."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from profiler.model.leaks import LeaksProfile, Receiver, Suspect, TypeSummary
from profiler.renderers.terminal.leak_containers_text import containers
from profiler.renderers.terminal.text import write
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import clip
from profiler.renderers.words.leaks import called_by, common_names, name, some
from profiler.renderers.words.lines import Line, heading, table, wrapped

_SUSPECTS_MAX = 10
_TYPES_MAX = 12
_PLACES_MAX = 3
_OTHERS_MAX = 2
_HELD_MAX = 5
_INDENT = "    "
# What every allocation passes through tells nothing.
_ALLOCATION = "__ao2_"
# With less, hardly anything can be told from what is kept by design: see docs/leaks.md.
_SHORT_S = 60


def render(profile: LeaksProfile, out: TextIO) -> None:
    """Write the report; in colour only if `out` is a terminal and NO_COLOR is not set."""
    write(report(profile), out)


def report(profile: LeaksProfile) -> list[Line]:
    """Return the lines of the report, none wider than 80 columns."""
    lines = [*_title(profile), *heading("LEAKS")]
    roots = [suspect for suspect in profile.suspects if suspect.held_by is None]
    for rank, suspect in enumerate(roots[:_SUSPECTS_MAX], 1):
        lines += _suspect(rank, suspect)
    if len(roots) > _SUSPECTS_MAX:
        left_out = numbers.counted(len(roots) - _SUSPECTS_MAX, "type")
        lines += wrapped("  ", f"{left_out} more: see --json", "dim")
    if not roots:
        lines += _nothing(profile)
    ranks = {suspect.summary.name: rank for rank, suspect in enumerate(roots, 1)}
    lines += containers(profile.containers, ranks)
    return [*lines, *_types(profile.types), *_accounting(profile)]


def _title(profile: LeaksProfile) -> list[Line]:
    target = profile.target
    version = f" {clip(target.version, 40)}" if target.version else ""
    began = clip(profile.started_at.replace("T", " ").replace("Z", " UTC"), 40)
    ended = "" if profile.stopped_by == "duration" else f"; ended early: {profile.stopped_by}"
    return [
        *wrapped("", f"asterisk{version} (pid {target.pid})", "heading"),
        *wrapped("", f"followed for {profile.window.duration_s:.1f} s from {began}{ended}"),
    ]


def _nothing(profile: LeaksProfile) -> list[Line]:
    text = "No object keeps a reference far longer than others of its type did."
    lines = wrapped("  ", text, "good")
    if profile.window.duration_s < _SHORT_S:
        lines += wrapped("  ", "That takes time to see: try a longer --duration.")
    return lines


def _suspect(rank: int, suspect: Suspect) -> list[Line]:
    summary = suspect.summary
    title = f"{name(summary.name)}, allocated at {name(summary.allocated_at)}"
    lines = wrapped(f"{rank:>2}. ", title, "bad")
    names = common_names(summary.names, summary.names_read)
    for text in (_fates(summary), names, _kept(suspect)):
        lines += wrapped(_INDENT, text)
    taken = " or ".join(some(suspect.taken_at, _PLACES_MAX))
    lines += wrapped(_INDENT + "  ", f"taken at {taken}")
    lines += wrapped(_INDENT + "  ", _path(suspect.stack))
    if suspect.receiver:
        lines += wrapped(_INDENT + "  ", _received(suspect.receiver))
    given = [f"{name(one.site)} ({one.others_have:.2g} each)" for one in suspect.given_back_at]
    if given:
        text = f"others gave it back at {'; '.join(some(given, _PLACES_MAX))}"
    else:
        text = "no object was seen to give it back"
    lines += wrapped(_INDENT + "  ", text)
    if suspect.containers:
        held = "; ".join(some(suspect.containers, _OTHERS_MAX))
        lines += wrapped(_INDENT, f"linked into {held}, which grows")
    return lines + wrapped(_INDENT, _held(suspect))


def _fates(summary: TypeSummary) -> str:
    text = f"{summary.born:,} followed from birth: {summary.freed:,} freed, {summary.alive:,} alive"
    if summary.lost:
        text += f", {summary.lost:,} not known"
    if summary.freed_age_p99_ns is not None:
        text += f" (freed ones lived {numbers.duration(summary.freed_age_p99_ns)} at p99)"
    return text


def _kept(suspect: Suspect) -> str:
    text = (
        f"{suspect.agreeing:,} of {suspect.compared:,} survivors of that age keep one reference "
        f"for {numbers.duration(suspect.held_min_ns)} or more"
    )
    if suspect.closed_max_ns is None or suspect.closed_max_ns > suspect.held_min_ns:
        return text  # of holders, others of the type may live long
    return f"{text}; others kept it for {numbers.duration(suspect.closed_max_ns)} at most"


def _path(stack: Iterable[str]) -> str:
    """Return who called, the nearest caller first; "" if it is not known."""
    frames = [frame for frame in stack if not frame.startswith(_ALLOCATION)]
    return called_by(frames[1:])


def _received(receiver: Receiver) -> str:
    """Return who should have given it back."""
    others = [other for other in receiver.others if other != receiver.name]
    text = f"{name(receiver.name)} got it, and did not give it back"
    if len(others) < len(receiver.others):
        text += " each time"
    if others:
        text += f"; {', '.join(some(others, _OTHERS_MAX))} got it so, too, and did"
    if receiver.releases:
        places = "; ".join(some(receiver.releases, 1))
        text += f". It gives back other references to them at {places}"
    return text


def _held(suspect: Suspect) -> str:
    held = [f"{one.count:,} of {name(one.name)}" for one in suspect.holds]
    return f"with it live on: {', '.join(some(held, _HELD_MAX))}" if held else ""


def _types(types: Iterable[TypeSummary]) -> list[Line]:
    shown = [one for one in types if one.alive][:_TYPES_MAX]
    if not shown:
        return []
    titles = ("allocated at", "born", "freed", "alive", "freed after", "oldest")
    rows = [
        (
            name(one.allocated_at),
            f"{one.born:,}",
            f"{one.freed:,}",
            f"{one.alive:,}",
            numbers.duration(one.freed_age_p99_ns),
            numbers.duration(one.alive_age_max_ns),
        )
        for one in shown
    ]
    return [*heading("MOST ALIVE", "freed after: 99 of 100"), *table(titles, rows)]


def _accounting(profile: LeaksProfile) -> list[Line]:
    births = (
        f"{profile.born:,} objects born while births were watched: {profile.followed:,} followed, "
        f"{profile.not_chosen:,} not chosen, {profile.no_room:,} without room. Of the followed, "
        f"{profile.freed:,} were freed, {profile.alive:,} are alive, {profile.lost:,} not known."
    )
    changes = (
        f"{profile.changes:,} changes of references to them, {profile.changes_lost:,} of them lost."
    )
    budget = (
        "" if profile.budget_ratio is None else f" (budget {numbers.percent(profile.budget_ratio)})"
    )
    cost = f"cost to asterisk: {numbers.percent(profile.cost_ratio)} of one CPU{budget}"
    lines = [Line(""), *wrapped("", births), *wrapped("", changes), *wrapped("", cost)]
    for warning in profile.warnings:
        lines += wrapped("warning: ", warning, "bad")
    return lines
