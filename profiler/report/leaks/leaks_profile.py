"""Makes a profile of leaks of what was recorded of objects: names, sums, suspects. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from profiler.model.leaks import (
    Fate,
    FollowedObject,
    LeaksProfile,
    LeaksRecording,
    TypeNames,
    TypeSummary,
)
from profiler.report.leaks.growing_containers import growing_containers
from profiler.report.leaks.holders import with_holders
from profiler.report.leaks.leak_names import Names, names_of
from profiler.report.leaks.suspects import name_suspects
from profiler.report.references.histories import history_of
from profiler.report.references.most import most
from profiler.report.references.overdue import find_overdue
from profiler.report.references.pace import Pace
from profiler.report.references.places import Places
from profiler.report.references.ways import learn

_OVERDUE_MAX = 256  # by their survivors: each is compared with each


def leaks_profile(recording: LeaksRecording) -> LeaksProfile:
    """Return what a report of leaks shows."""
    recording = _join_sizes(recording)
    names = names_of(recording)
    summaries = _summaries(recording, names)
    histories = (history_of(one, recording.sites) for one in recording.objects)
    ways = learn(histories, Places.of(recording, names.frames))
    found = find_overdue(ways, Pace.of(recording))
    overdue = most(found, _OVERDUE_MAX, lambda one: len(one.agreeing))
    held = with_holders(recording, overdue, ways)
    suspects = name_suspects(recording, held, summaries, names)
    fates = Counter(one.fate for one in recording.objects)
    births, changes = recording.birth_accounting, recording.change_accounting
    return LeaksProfile(
        schema=recording.schema,
        tool_version=recording.tool_version,
        started_at=recording.started_at,
        target=recording.target,
        window=recording.window,
        stopped_by=recording.stopped_by,
        born=births.fired,
        not_chosen=births.filtered,
        no_room=births.lost,
        followed=len(recording.objects),
        freed=fates[Fate.FREED],
        alive=fates[Fate.ALIVE],
        lost=fates[Fate.LOST],
        changes=changes.fired,
        changes_lost=changes.lost,
        types=tuple(sorted(summaries.values(), key=lambda one: (-one.alive, -one.born, one.name))),
        suspects=suspects,
        containers=growing_containers(recording, names, suspects),
        cost_ratio=(recording.cost.sampling_ns + recording.cost.lookups_ns)
        / recording.window.duration_ns,
        budget_ratio=recording.cost.budget_ratio,
        warnings=recording.warnings,
    )


def _join_sizes(recording: LeaksRecording) -> LeaksRecording:
    """Return the recording with one type for all sizes of what is allocated at one place."""
    first: dict[object, int] = {}
    for index, one in enumerate(recording.types):
        first.setdefault((one.destructor, one.site), index)
    joined = [first[one.destructor, one.site] for one in recording.types]
    objects = tuple(replace(one, type=joined[one.type]) for one in recording.objects)
    return replace(recording, objects=objects)


def _summaries(recording: LeaksRecording, names: Names) -> dict[int, TypeSummary]:
    by_type: dict[int, list[FollowedObject]] = defaultdict(list)
    for one in recording.objects:
        by_type[one.type].append(one)
    return {
        kind: _summary(
            names.types[kind],
            names.sites[recording.types[kind].site],
            objects,
            names.called.get(kind, TypeNames(kind, 0, ())),
        )
        for kind, objects in by_type.items()
    }


def _summary(
    name: str, allocated_at: str, objects: Sequence[FollowedObject], called: TypeNames
) -> TypeSummary:
    fates = Counter(one.fate for one in objects)
    freed = sorted(one.age_ns for one in objects if one.fate is Fate.FREED)
    alive = [one.age_ns for one in objects if one.fate is Fate.ALIVE]
    return TypeSummary(
        name=name,
        allocated_at=allocated_at,
        born=len(objects),
        freed=fates[Fate.FREED],
        alive=fates[Fate.ALIVE],
        lost=fates[Fate.LOST],
        freed_age_p99_ns=_p99(freed),
        alive_age_min_ns=min(alive, default=None),
        alive_age_max_ns=max(alive, default=None),
        names_read=called.read,
        names=called.names,
    )


def _p99(values: Iterable[int]) -> int | None:
    ordered = sorted(values)
    return ordered[math.ceil(0.99 * len(ordered)) - 1] if ordered else None
