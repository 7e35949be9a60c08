"""Containers that grow while objects are followed: who links, and what the elements are. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from profiler.model.lasting_growth import lasting_growth
from profiler.model.leaks import (
    Change,
    ChangeKind,
    ElementType,
    Fate,
    FollowedObject,
    GrowingContainer,
    LeaksRecording,
    LinkPlace,
    Suspect,
    TypeNames,
    WatchedContainer,
)
from profiler.report.leak_names import Names
from profiler.report.watched_containers import container_labels, links_of

_LEAST_GROWTH = 10
_LINK = "__ao2_link"


def growing_containers(
    recording: LeaksRecording, names: Names, suspects: Iterable[Suspect]
) -> tuple[GrowingContainer, ...]:
    """Return the containers that grow without limit, the fastest first."""
    known = {
        (one.summary.name, one.summary.allocated_at): one.held_by or one.summary.name
        for one in suspects
    }
    labels = container_labels(recording)
    found = (
        _growing(recording, names, known, one, labels[one.address], per_minute)
        for one in recording.containers
        if (per_minute := _per_minute(one)) is not None
    )
    return tuple(sorted(found, key=lambda one: (-one.per_minute, one.name)))


def _per_minute(container: WatchedContainer) -> float | None:
    sizes = container.elements
    is_more = bool(sizes) and sizes[-1][1] - sizes[0][1] >= _LEAST_GROWTH
    return lasting_growth(sizes) if is_more else None


def _growing(
    recording: LeaksRecording,
    names: Names,
    suspects: dict[tuple[str, str], str],
    container: WatchedContainer,
    name: str,
    per_minute: float,
) -> GrowingContainer:
    linked = [one for one in recording.objects if _moves(one, container.address)]
    fates = Counter(_fate(one, container.address) for one in linked)
    kept = [one for one in linked if _fate(one, container.address) is Fate.ALIVE]
    stacks = Counter(stack for one in linked for stack in _stacks(one, container.address))
    types = Counter(one.type for one in kept)
    return GrowingContainer(
        name=name,
        elements_start=container.elements[0][1],
        elements_end=container.elements[-1][1],
        per_minute=per_minute,
        linked_at=_places(recording, names, container, ChangeKind.LINK),
        unlinked_at=_places(recording, names, container, ChangeKind.UNLINK),
        stack=_callers(recording, names, stacks),
        linked=len(linked),
        kept=fates[Fate.ALIVE],
        left=fates[Fate.FREED],
        unknown=fates[Fate.LOST],
        elements=tuple(
            _element_type(recording, names, suspects, kind, count)
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


def _places(
    recording: LeaksRecording, names: Names, container: WatchedContainer, kind: ChangeKind
) -> tuple[LinkPlace, ...]:
    counts: Counter[str] = Counter()
    for link in links_of(recording, container):
        if link.kind is kind:
            counts[names.sites[link.site]] += link.count
    return tuple(LinkPlace(site, count) for site, count in counts.most_common())


def _moves(followed: FollowedObject, container: int) -> list[Change]:
    """Return its links into a container and its unlinks."""
    kinds = (ChangeKind.LINK, ChangeKind.UNLINK)
    return [one for one in followed.history if one.kind in kinds and one.container == container]


def _fate(followed: FollowedObject, container: int) -> Fate:
    """Return what became of an element: alive in there, freed or taken out, not known."""
    was_taken_out = _moves(followed, container)[-1].kind is ChangeKind.UNLINK
    return Fate.FREED if was_taken_out else followed.fate


def _stacks(followed: FollowedObject, container: int) -> Iterator[int]:
    """Yield the stacks of links: of the reference that the container takes then."""
    linking: Change | None = None
    for change in followed.history:
        if change.kind is ChangeKind.LINK:
            linking = change
        elif linking is not None and change.tid == linking.tid and change.delta > 0:
            if change.stack is not None and linking.container == container:
                yield change.stack
            linking = None


def _callers(recording: LeaksRecording, names: Names, stacks: Counter[int]) -> tuple[str, ...]:
    """Return the frames of the most frequent stack, from who links on; () if none is known."""
    if not stacks:
        return ()
    [(stack, _)] = stacks.most_common(1)
    frames = [names.frames[frame] for frame in recording.stacks[stack].frames]
    return tuple(frames[frames.index(_LINK) + 1 :] if _LINK in frames else frames)
