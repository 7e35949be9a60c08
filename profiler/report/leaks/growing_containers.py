"""Containers that grow while objects are followed: who links, and what the elements are. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from profiler.model.lasting_growth import lasting_growth
from profiler.model.leaks import (
    Change,
    ChangeKind,
    ElementType,
    Fate,
    FollowedObject,
    GrowingContainer,
    LeaksRecording,
    LinkCount,
    LinkPlace,
    Suspect,
    TypeNames,
    WatchedContainer,
)
from profiler.report.leaks.leak_names import Names
from profiler.report.leaks.watched_containers import container_labels, links_by_container

_LEAST_GROWTH = 10
_LINK = "__ao2_link"


@dataclass(frozen=True, slots=True)
class _Linked:
    """What became of an object in a container, and the stacks from which it was linked."""

    type: int
    fate: Fate
    stacks: Sequence[int]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A container, what it is called, and what was seen of it."""

    container: WatchedContainer
    name: str
    links: Sequence[LinkCount]
    linked: Sequence[_Linked]


def growing_containers(
    recording: LeaksRecording, names: Names, suspects: Iterable[Suspect]
) -> tuple[GrowingContainer, ...]:
    """Return the containers that grow without limit, the fastest first."""
    known = {
        (one.summary.name, one.summary.allocated_at): one.held_by or one.summary.name
        for one in suspects
    }
    labels = container_labels(recording)
    links, linked = links_by_container(recording), _linked(recording)
    found = (
        _growing(
            _Seen(
                one, labels[one.address], links.get(one.address, ()), linked.get(one.address, ())
            ),
            recording,
            names,
            known,
            per_minute,
        )
        for one in recording.containers
        if (per_minute := _per_minute(one)) is not None
    )
    return tuple(sorted(found, key=lambda one: (-one.per_minute, one.name)))


def _per_minute(container: WatchedContainer) -> float | None:
    sizes = container.elements
    is_more = bool(sizes) and sizes[-1][1] - sizes[0][1] >= _LEAST_GROWTH
    return lasting_growth(sizes) if is_more else None


def _growing(
    seen: _Seen,
    recording: LeaksRecording,
    names: Names,
    known: dict[tuple[str, str], str],
    per_minute: float,
) -> GrowingContainer:
    elements = seen.container.elements
    fates = Counter(one.fate for one in seen.linked)
    stacks = Counter(stack for one in seen.linked for stack in one.stacks)
    types = Counter(one.type for one in seen.linked if one.fate is Fate.ALIVE)
    return GrowingContainer(
        name=seen.name,
        elements_start=elements[0][1],
        elements_end=elements[-1][1],
        per_minute=per_minute,
        linked_at=_places(seen.links, names, ChangeKind.LINK),
        unlinked_at=_places(seen.links, names, ChangeKind.UNLINK),
        stack=_callers(recording, names, stacks),
        linked=len(seen.linked),
        kept=fates[Fate.ALIVE],
        left=fates[Fate.FREED],
        unknown=fates[Fate.LOST],
        elements=tuple(
            _element_type(recording, names, known, kind, count)
            for kind, count in types.most_common()
        ),
    )


def _element_type(
    recording: LeaksRecording,
    names: Names,
    suspects: dict[tuple[str, str], str],
    kind: int,
    count: int,
) -> ElementType:
    name, allocated_at = names.types[kind], names.sites[recording.types[kind].site]
    called = names.called.get(kind, TypeNames(kind, 0, ()))
    suspect = suspects.get((name, allocated_at))
    return ElementType(name, count, suspect, called.read, called.names)


def _places(links: Iterable[LinkCount], names: Names, kind: ChangeKind) -> tuple[LinkPlace, ...]:
    counts: Counter[str] = Counter()
    for link in links:
        if link.kind is kind:
            counts[names.sites[link.site]] += link.count
    return tuple(LinkPlace(site, count) for site, count in counts.most_common())


def _linked(recording: LeaksRecording) -> Mapping[int, Sequence[_Linked]]:
    """Return, by a container's address, the followed objects that were linked or unlinked there.

    All histories are read once, however many containers grow.
    """
    found: dict[int, list[_Linked]] = defaultdict(list)
    for one in recording.objects:
        stacks = _stacks(one)
        for container, last in _last_moves(one).items():
            # Alive in there, freed or taken out, not known.
            fate = Fate.FREED if last is ChangeKind.UNLINK else one.fate
            found[container].append(_Linked(one.type, fate, stacks.get(container, ())))
    return found


def _last_moves(followed: FollowedObject) -> Mapping[int, ChangeKind]:
    """Return for each container whether the object was linked there last, or unlinked."""
    kinds = (ChangeKind.LINK, ChangeKind.UNLINK)
    moves = (one for one in followed.history if one.kind in kinds)
    return {one.container: one.kind for one in moves if one.container is not None}


def _stacks(followed: FollowedObject) -> Mapping[int, Sequence[int]]:
    """Return the stacks of links: of the reference that the container takes then."""
    found: dict[int, list[int]] = defaultdict(list)
    linking: Change | None = None
    for change in followed.history:
        if change.kind is ChangeKind.LINK:
            linking = change
        elif linking is not None and change.tid == linking.tid and change.delta > 0:
            if change.stack is not None and linking.container is not None:
                found[linking.container].append(change.stack)
            linking = None
    return found


def _callers(recording: LeaksRecording, names: Names, stacks: Counter[int]) -> tuple[str, ...]:
    """Return the frames of the most frequent stack, from who links on; () if none is known."""
    if not stacks:
        return ()
    [(stack, _)] = stacks.most_common(1)
    frames = [names.frames[frame] for frame in recording.stacks[stack].frames]
    return tuple(frames[frames.index(_LINK) + 1 :] if _LINK in frames else frames)
