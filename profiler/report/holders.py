"""Objects that live on because another one holds them, which should have been freed itself. Pure.

An object that is made while another one is made mostly belongs to it. And where a destructor gives
the reference back, an object of its type that was made when the reference was taken is the holder.
The holder leaks, although others of its type may live long for good reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from profiler.model.leaks import Fate, LeaksRecording
from profiler.report.accounts import Learnt
from profiler.report.frame_names import frame_names
from profiler.report.histories import History
from profiler.report.overdue import Overdue, use_of

# A holder is made by the same thread, just before or after it takes the reference.
_SAME_TIME_NS = 1_000_000
_SHARE_MIN = 0.25  # of the survivors: the others' holders may not be followed


@dataclass(frozen=True, slots=True)
class Held:
    """What is overdue, and the type that holds it, if one does."""

    overdue: Overdue
    holder: int | None


def with_holders(
    recording: LeaksRecording, overdue: Sequence[Overdue], learnt: Sequence[Learnt]
) -> tuple[Held, ...]:
    """Return what is overdue, and the holders that were not among it."""
    names = frame_names(recording)
    alike = {one.type: one for one in reversed(learnt)}  # as those that were freed, if any was
    makers = {recording.sites[recording.types[one.type].site].function: one for one in overdue}
    found: list[Held] = []
    added: dict[int, Overdue] = {}
    for one in overdue:
        holder = _made_within(recording, one, makers, names)
        for kind in _destroyed(recording, one, names) if holder is None else ():
            made = _made_with(one, alike[kind].histories) if kind in alike else set()
            if kind == one.type or len(made) < _SHARE_MIN * len(one.agreeing):
                continue
            lacking = _lacking(kind, made, alike[kind])
            if lacking:
                holder = kind
                added.setdefault(kind, lacking)
        found.append(Held(one, holder))
    known = {one.type for one in overdue}
    return (*found, *(Held(one, None) for kind, one in added.items() if kind not in known))


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
        for history in overdue.closed
        for step in history.steps
        if not step.is_taken and step.place in overdue.account.gives and step.stack is not None
    }
    callers = {
        names[frame].lstrip("~") for stack in stacks for frame in recording.stacks[stack].frames
    }
    callers |= {recording.sites[at].function for at in overdue.account.gives if at >= 0}
    for kind, one in enumerate(recording.types):
        if one.destructor is not None and names[one.destructor].lstrip("~") in callers:
            yield kind


def _made_with(overdue: Overdue, histories: Collection[History]) -> set[History]:
    """Return the survivors that were born when those that are overdue were taken."""
    births: dict[int, list[History]] = {}
    for history in histories:
        if history.of.fate is Fate.ALIVE:
            births.setdefault(history.of.tid, []).append(history)
    return {
        history
        for opening in overdue.agreeing
        for history in births.get(opening.history.of.tid, ())
        if abs(history.of.born_ns - opening.since_ns) <= _SAME_TIME_NS
    }


def _lacking(kind: int, made: Collection[History], learnt: Learnt) -> Overdue | None:
    """Return the account that is open in most of the holders."""
    best: Overdue | None = None
    for account in learnt.accounts:
        use = use_of(account, learnt.histories)
        agreeing = tuple(opening for opening in use.openings if opening.history in made)
        if agreeing and (best is None or len(agreeing) > len(best.agreeing)):
            best = Overdue(
                kind, account, agreeing, agreeing, len(made), use.closed, use.closed_max_ns
            )
    return best
