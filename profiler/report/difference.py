"""The difference of two profiles: what takes more or less now, per second of each window.

Things are matched by what they are called, never by address or tid: those differ between runs.
Everything that differs is listed, the largest change first; equal things are left out, so the
difference of a profile with itself is empty.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping

from profiler.model.cpu_share import Z_95
from profiler.model.difference import ContainerChange, ContainerLoad, CpuChange, Difference
from profiler.model.profile import ContainerUse, Profile

Names = tuple[str, ...]  # one name, or the frames of a stack


def diff(before: Profile, after: Profile) -> Difference:
    """Return what is different in `after`."""
    return Difference(
        functions=_sampled_changes(before, _functions(before), after, _functions(after)),
        stacks=_sampled_changes(before, _stacks(before), after, _stacks(after)),
        threads=_thread_changes(_threads(before), _threads(after)),
        containers=_container_changes(_loads(before), _loads(after)),
    )


def _stacks(profile: Profile) -> Counter[Names]:
    """Count samples by stack."""
    counts: Counter[Names] = Counter()
    for index, count in Counter(sample.stack for sample in profile.samples).items():
        counts[profile.stacks[index].frames] += count
    return counts


def _functions(profile: Profile) -> Counter[Names]:
    """Count samples in which a function is on the stack; once, however deep it recurs."""
    counts: Counter[Names] = Counter()
    for frames, count in _stacks(profile).items():
        for name in set(frames):
            counts[(name,)] += count
    return counts


def _sampled_changes(
    before: Profile, counts_before: Counter[Names], after: Profile, counts_after: Counter[Names]
) -> tuple[CpuChange, ...]:
    # The share of one CPU that one sample stands for.
    one_before, one_after = (
        1 / (profile.frequency_hz * profile.window.duration_s) for profile in (before, after)
    )
    changes = []
    for names in counts_before.keys() | counts_after.keys():
        count_before, count_after = counts_before[names], counts_after[names]
        variance = count_before * one_before**2 + count_after * one_after**2
        noise = Z_95 * math.sqrt(variance)
        changes.append(CpuChange(names, count_before * one_before, count_after * one_after, noise))
    return _largest_first(changes)


def _threads(profile: Profile) -> Mapping[str, float]:
    ratios: dict[str, list[float]] = defaultdict(list)
    for thread in profile.threads:
        ratios[thread.title].append(thread.cpu_ratio)
    return {name: math.fsum(parts) for name, parts in ratios.items()}


def _thread_changes(
    before: Mapping[str, float], after: Mapping[str, float]
) -> tuple[CpuChange, ...]:
    return _largest_first(
        [
            CpuChange((name,), before.get(name, 0.0), after.get(name, 0.0), None)
            for name in before.keys() | after.keys()
        ]
    )


def _largest_first(changes: list[CpuChange]) -> tuple[CpuChange, ...]:
    changed = (change for change in changes if change.before_ratio != change.after_ratio)
    return tuple(sorted(changed, key=lambda change: (-abs(change.delta_ratio), change.names)))


def _loads(profile: Profile) -> Mapping[tuple[str, str], ContainerLoad]:
    groups: dict[tuple[str, str], list[ContainerUse]] = defaultdict(list)
    for container in profile.containers:
        groups[_name(container), container.kind].append(container)
    return {key: _load(group, profile.window.duration_s) for key, group in groups.items()}


def _load(containers: list[ContainerUse], seconds: float) -> ContainerLoad:
    elements = [item.elements_end for item in containers if item.elements_end is not None]
    return ContainerLoad(
        lookups_hz=math.fsum(item.lookups.total_or_bound for item in containers) / seconds,
        duration_ratio=math.fsum(item.estimated_duration_ns for item in containers) / seconds / 1e9,
        elements=sum(elements) if elements else None,
    )


def _name(container: ContainerUse) -> str:
    """Return what identifies a container in another run: its names, else who searches it."""
    known = [name for name in (container.name, container.comparator) if name]
    if len(known) == 2 and known[1] in known[0]:
        known.pop()
    searchers = sorted({site.function for site in container.call_sites})
    return ", ".join(known or searchers or ["unknown"])


def _container_changes(
    before: Mapping[tuple[str, str], ContainerLoad],
    after: Mapping[tuple[str, str], ContainerLoad],
) -> tuple[ContainerChange, ...]:
    changes = [
        ContainerChange(*key, before.get(key), after.get(key))
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    ]
    return tuple(
        sorted(changes, key=lambda change: (-abs(change.delta_ratio), change.name, change.kind))
    )
