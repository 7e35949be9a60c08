"""Suspects in words: what is overdue, what holds it, and what lives on with it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from profiler.model import leaks as model
from profiler.model.leaks import GivenBack, LeaksRecording, Suspect, TypeSummary
from profiler.report.leaks.holders import Held
from profiler.report.leaks.leak_names import Names
from profiler.report.leaks.receivers import receiver_of
from profiler.report.leaks.watched_containers import container_labels
from profiler.report.references.histories import BIRTH, History, Step
from profiler.report.references.holdings import Holding
from profiler.report.references.overdue import Overdue

# Nodes of containers are objects of ao2's own: they live as long as what they hold is linked.
_OWN_SOURCES = "astobj2"
# Where a proxy's reference is given back when the object goes that it stands for.
_WITH_OBJECT = "astobj2.c"


def name_suspects(
    recording: LeaksRecording,
    overdue: Iterable[Held],
    summaries: Mapping[int, TypeSummary],
    names: Names,
) -> tuple[Suspect, ...]:
    """Return the suspects, those first that nobody else holds."""
    kept = _without_repeats(one for one in overdue if not _is_of_ao2(recording, one.overdue))
    roots = {one.overdue.type: _root(one.overdue.type, kept) for one in kept}
    labels = container_labels(recording)
    suspects = []
    for one in kept:
        kind, root = one.overdue.type, roots[one.overdue.type]
        held = (other.overdue for other in kept if roots[other.overdue.type] == kind)
        suspects.append(
            replace(
                _suspect(recording, one.overdue, summaries[kind], names, labels),
                held_by=None if root == kind else names.types[root],
                holds=tuple(
                    model.Held(names.types[other.type], len(other.agreeing))
                    for other in held
                    if other.type != kind
                ),
            )
        )
    return tuple(sorted(suspects, key=lambda one: (one.held_by is not None, -one.agreeing)))


def _root(kind: int, kept: Sequence[Held]) -> int:
    """Return the type that holds it in the end; of types that hold each other, the first."""
    holders = {one.overdue.type: one.holder for one in kept}
    way = [kind]
    while (holder := holders.get(way[-1])) is not None and holder in holders:
        if holder in way:
            return min(way[way.index(holder) :])
        way.append(holder)
    return way[-1]


def _is_of_ao2(recording: LeaksRecording, overdue: Overdue) -> bool:
    """Return whether these are nodes of containers, or proxies that go with their objects."""
    sites = recording.sites
    allocated = sites[recording.types[overdue.type].site].file or ""
    gives = (sites[place].file for place in overdue.account.gives if place >= 0)
    return allocated.startswith(_OWN_SOURCES) or _WITH_OBJECT in gives


def _without_repeats(overdue: Iterable[Held]) -> list[Held]:
    """Return those of which most survivors are not in a clearer one already."""
    kept: list[Held] = []
    objects: list[set[tuple[int, int]]] = []  # of these
    for one in sorted(overdue, key=lambda one: _clearness(one.overdue)):
        own = _objects(one.overdue)
        if all(2 * len(own & others) <= len(own) for others in objects):
            kept.append(one)
            objects.append(own)
    return kept


def _clearness(overdue: Overdue) -> tuple[int, bool, int]:
    account = overdue.account
    return -len(overdue.agreeing), not overdue.closed, len(account.takes) + len(account.gives)


def _objects(overdue: Overdue) -> set[tuple[int, int]]:
    followed = (opening.history.of for opening in overdue.agreeing)
    return {(one.address, one.born_ns) for one in followed}


def _suspect(
    recording: LeaksRecording,
    overdue: Overdue,
    summary: TypeSummary,
    names: Names,
    labels: Mapping[int, str],
) -> Suspect:
    survivors = _histories(overdue.agreeing)
    taken = [step for step in _steps(survivors, overdue.account.takes) if step.is_taken]
    places = Counter(step.place for step in taken)
    stacks = _stacks(overdue, {place for place, _ in places.most_common(1)})
    stack = _frames(recording, stacks.most_common(1)[0][0], names) if stacks else ()
    held = {opening.container for opening in overdue.agreeing}
    return Suspect(
        summary=summary,
        taken_at=tuple(
            summary.allocated_at if place == BIRTH else names.sites[place]
            for place, _ in places.most_common()
        ),
        given_back_at=_given_back(overdue, survivors, names),
        agreeing=len(survivors),
        compared=overdue.compared,
        held_min_ns=min(opening.open_ns for opening in overdue.agreeing),
        closed_max_ns=overdue.closed_max_ns,
        stack=stack,
        receiver=receiver_of(recording, overdue, stack, names),
        containers=tuple(label for address, label in labels.items() if address in held),
        held_by=None,
        holds=(),
    )


def _histories(holdings: Iterable[Holding]) -> list[History]:
    return list({id(one.history): one.history for one in holdings}.values())


def _stacks(overdue: Overdue, places: Collection[int]) -> Counter[int]:
    """Return how often it was taken from each stack by those that agree.

    Few objects are followed with their stacks. Where none of those was, all that are open tell: the
    young ones leave as the old ones did.
    """
    for openings in (overdue.agreeing, overdue.openings):
        taken = (step for step in _steps(_histories(openings), places) if step.is_taken)
        stacks = Counter(step.stack for step in taken if step.stack is not None)
        if stacks:
            break
    return stacks


def _steps(histories: Iterable[History], places: Collection[int]) -> Iterable[Step]:
    return (step for history in histories for step in history.steps if step.place in places)


def _frames(recording: LeaksRecording, stack: int, names: Names) -> tuple[str, ...]:
    return tuple(names.frames[frame] for frame in recording.stacks[stack].frames)


def _given_back(
    overdue: Overdue, survivors: Sequence[History], names: Names
) -> tuple[GivenBack, ...]:
    """Return where the others gave the reference back more often, most often first."""
    others = _mean_gives(_histories(overdue.closed), overdue.account.gives)
    own = _mean_gives(survivors, overdue.account.gives)
    given = (
        GivenBack(names.sites[place], mean, own.get(place, 0.0))
        for place, mean in others.items()
        if mean > own.get(place, 0.0)
    )
    return tuple(sorted(given, key=lambda one: one.survivors_have - one.others_have))


def _mean_gives(histories: Sequence[History], places: Collection[int]) -> dict[int, float]:
    counts: Counter[int] = Counter()
    for step in _steps(histories, places):
        counts[step.place] += 0 if step.is_taken else step.count
    return {place: count / len(histories) for place, count in counts.items()}
