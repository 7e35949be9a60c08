"""Containers of one kind that are hardly searched, as one. Pure.

Each call may make a dozen containers that live as long as it does, or as one lookup. Thousands of
them are one thing to know. What they did is added up; each lookup that was not measured is taken to
have lasted as long as the others did on average.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from profiler.model.recording import Container, LookupGroup, Recording

_LEAST_MANY = 4  # fewer are shown one by one
_FEW_LOOKUPS = 10  # that were seen: a container with more is shown by itself
_OUTSTANDING_RATIO = 0.001  # of the window in its lookups: so is one that takes more
_LEAST_GROWTH = 10  # elements: and one that grew by more
_ALONE_MAX = 50  # of one kind: the most expensive ones


def join_alike(recording: Recording, names: Sequence[str]) -> tuple[Recording, Mapping[int, int]]:
    """Return the recording with lookups of alike containers in one, and how many each one is."""
    lookups: dict[int, list[LookupGroup]] = defaultdict(list)
    for group in recording.lookups:
        lookups[group.container].append(group)
    alike: dict[object, list[int]] = defaultdict(list)
    for index, groups in lookups.items():
        alike[_kind(recording, names, index, groups)].append(index)
    joined = [_joined(recording, lookups, found) for found in alike.values()]
    first = {index: many[0] for many in joined for index in many}
    return _with_first(recording, first), Counter(first.values())


def _kind(
    recording: Recording, names: Sequence[str], index: int, groups: Sequence[LookupGroup]
) -> object:
    """Return what alike containers have in common: functions, size, and the files that ask."""
    container = recording.containers[index]
    functions = (container.hash_function, container.sort_function, container.comparator)
    return (
        container.kind,
        container.buckets,
        tuple(None if frame is None else names[frame] for frame in functions),
        frozenset(recording.call_sites[group.call_site].file for group in groups),
    )


def _joined(
    recording: Recording, lookups: Mapping[int, Sequence[LookupGroup]], alike: list[int]
) -> list[int]:
    """Return which of them are joined, the most expensive first; () if they are too few."""
    times = {index: math.fsum(map(_time_ns, lookups[index])) for index in alike}
    ranked = sorted(alike, key=lambda index: (-times[index], index))
    outstanding_ns = _OUTSTANDING_RATIO * recording.window.duration_ns
    alone = [
        index
        for index in ranked
        if times[index] > outstanding_ns
        or sum(max(group.measured, group.counted) for group in lookups[index]) > _FEW_LOOKUPS
        or _growth(recording.containers[index]) > _LEAST_GROWTH
    ]
    by_growth = sorted(alone, key=lambda index: -_growth(recording.containers[index]))
    shown = {*alone[:_ALONE_MAX], *by_growth[:_ALONE_MAX]}
    many = [index for index in ranked if index not in shown]
    return many if len(many) >= _LEAST_MANY else []


def _time_ns(group: LookupGroup) -> float:
    timed = group.duration_ns
    return group.estimated_total * timed.total / timed.count if timed.count else 0.0


def _growth(container: Container) -> int:
    if container.elements_start is None or container.elements_end is None:
        return 0
    return container.elements_end - container.elements_start


def _with_first(recording: Recording, first: Mapping[int, int]) -> Recording:
    """Return the recording in which the first of joined containers stands for all of them."""
    lengths: dict[int, Counter[int]] = defaultdict(Counter)
    for index, to in first.items():
        for length, buckets in recording.containers[index].chain_lengths:
            lengths[to][length] += buckets
    containers = list(recording.containers)
    for index, chains in ((to, lengths[to]) for to in set(first.values())):
        containers[index] = replace(
            containers[index],
            elements_start=None,
            elements_end=None,  # of one of them it says nothing, and most are gone
            chain_lengths=tuple(sorted(chains.items())),
        )
    sizes = (one for one in recording.time_line.containers if one.container not in first)
    return replace(
        recording,
        time_line=replace(recording.time_line, containers=tuple(sizes)),
        containers=tuple(containers),
        lookups=tuple(
            replace(group, container=first.get(group.container, group.container))
            for group in recording.lookups
        ),
        lookup_stacks=tuple(
            replace(stack, container=first.get(stack.container, stack.container))
            for stack in recording.lookup_stacks
        ),
    )
