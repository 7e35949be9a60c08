"""Objects that live on because another one holds them, which should have been freed itself. Pure.

An object that is made while another one is made mostly belongs to it. And where a destructor gives
the reference back, an object of its type that was made when the reference was taken is the holder.
The holder leaks, although others of its type may live long for good reasons.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from profiler.model.leaks import Fate, LeaksRecording
from profiler.report.basics.frame_names import frame_names
from profiler.report.references.histories import History
from profiler.report.references.holdings import uses_of
from profiler.report.references.overdue import Overdue
from profiler.report.references.ways import Way

# A holder is made by the same thread, just before or after it takes the reference.
_SAME_TIME_NS = 1_000_000
_SHARE_MIN = 0.25  # of the survivors: the others' holders may not be followed


@dataclass(frozen=True, slots=True)
class Held:
    """What is overdue, and the type that holds it, if one does."""

    overdue: Overdue
    holder: int | None


def with_holders(
    recording: LeaksRecording, overdue: Sequence[Overdue], every: Iterable[Way]
) -> tuple[Held, ...]:
    """Return what is overdue, and the holders that were not among it."""
    names = frame_names(recording)
    ways: dict[int, list[Way]] = defaultdict(list)
    for way in every:
        ways[way.type].append(way)
    makers = {recording.sites[recording.types[one.type].site].function: one for one in overdue}
    found: list[Held] = []
    added = {one.type: one for one in overdue}
    for one in overdue:
        holder = _made_within(recording, one, makers, names)
        for lacking in _destroyed_with(recording, one, ways, names) if holder is None else ():
            holder = lacking.type
            if holder not in added:
                added[holder] = lacking
                found.append(Held(lacking, None))
        found.append(Held(one, holder))
    return tuple(found)


def _destroyed_with(
    recording: LeaksRecording, overdue: Overdue, ways: Mapping[int, list[Way]], names: Sequence[str]
) -> Iterator[Overdue]:
    """Yield what is open in the holders that would give the reference back when they end."""
    for kind in _destroyed(recording, overdue, names):
        made = _made_with(overdue, ways.get(kind, ()))
        if kind != overdue.type and len(made) >= _SHARE_MIN * len(overdue.agreeing):
            lacking = _lacking(kind, made, ways[kind])
            if lacking:
                yield lacking


def _made_within(
    recording: LeaksRecording, overdue: Overdue, makers: Mapping[str, Overdue], names: Sequence[str]
) -> int | None:
    """Return the type that the outermost function of most births makes, if that leaks, too."""
    own = recording.sites[recording.types[overdue.type].site].function
    outermost: Counter[int | None] = Counter()
    for opening in overdue.agreeing:
        stack = opening.history.of.stack
        if stack is None:
            continue
        callers = (names[frame].lstrip("~") for frame in reversed(recording.stacks[stack].frames))
        made = (makers[name].type for name in callers if name in makers and name != own)
        outermost[next((kind for kind in made if kind != overdue.type), None)] += 1
    if not outermost:
        return None
    [(kind, _)] = outermost.most_common(1)
    return kind


def _destroyed(recording: LeaksRecording, overdue: Overdue, names: Sequence[str]) -> Iterator[int]:
    """Yield the types in whose destructors the others gave the lacking reference back.

    A destructor that ends with that is on no stack: it has jumped. But it passed its name.
    """
    stacks = {
        step.stack
        for holding in overdue.closed
        for step in holding.history.steps
        if not step.is_taken and step.place in overdue.account.gives and step.stack is not None
    }
    callers = {
        names[frame].lstrip("~") for stack in stacks for frame in recording.stacks[stack].frames
    }
    callers |= {recording.sites[at].function for at in overdue.account.gives if at >= 0}
    for kind, one in enumerate(recording.types):
        if one.destructor is not None and names[one.destructor].lstrip("~") in callers:
            yield kind


def _made_with(overdue: Overdue, ways: Iterable[Way]) -> set[History]:
    """Return the survivors that were born when those that are overdue were taken."""
    taken: dict[int, list[int]] = defaultdict(list)
    for opening in sorted(overdue.agreeing, key=lambda one: one.since_ns):
        taken[opening.history.of.tid].append(opening.since_ns)
    return {
        history
        for way in ways
        for history in way.histories
        if history.of.fate is Fate.ALIVE
        and _is_near(history.of.born_ns, taken.get(history.of.tid, ()))
    }


def _is_near(time_ns: int, others_ns: Sequence[int]) -> bool:
    """Return whether one of the others, which ascend, is at the same time."""
    at = bisect_left(others_ns, time_ns - _SAME_TIME_NS)
    return at < len(others_ns) and others_ns[at] <= time_ns + _SAME_TIME_NS


def _lacking(kind: int, made: Collection[History], ways: Iterable[Way]) -> Overdue | None:
    """Return the account that is open in most of the holders."""
    found = (
        Overdue(
            kind,
            account,
            agreeing,
            use.openings,
            len(made),
            use.closed,
            tuple((account, one) for one in use.closed),
        )
        for way in ways
        for account, use in zip(way.accounts, uses_of(way.accounts, way.histories), strict=True)
        for agreeing in [tuple(one for one in use.openings if one.history in made)]
        if agreeing
    )
    return max(found, key=lambda one: len(one.agreeing), default=None)
