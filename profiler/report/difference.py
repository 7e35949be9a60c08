"""The difference of two profiles: what takes more or less now, per second of each window.

Things are matched by what they are called, never by address or tid: those differ between runs.
What changed by more than the error of both is listed, the largest change first; what else differs
is counted. So the difference of a profile with itself is empty.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from profiler.model.cpu_share import Z_95
from profiler.model.difference import (
    SCHEMA,
    Z_CLEAR,
    ContainerChange,
    ContainerChanges,
    ContainerLoad,
    CpuChange,
    CpuChanges,
    Difference,
    Recorded,
    sample_ratio,
    sampled_change,
)
from profiler.model.profile import ContainerUse, Profile, Quantiles
from profiler.report.diff_notes import diff_notes, has_lookups

Names = tuple[str, ...]  # one name, or the frames of a stack
# A thread's CPU time is exact but for a timer tick at either end of the window: 10 ms where ticks
# are rarest (CONFIG_HZ=100).
_TICKS_S = 2 * 0.01


def diff(before: Profile, after: Profile) -> Difference:
    """Return what is different in `after`."""
    both = before, after
    loads = [_loads(profile) for profile in both if has_lookups(profile)]
    return Difference(
        schema=SCHEMA,
        before=_recorded(before),
        after=_recorded(after),
        notes=tuple(diff_notes(before, after)),
        cpu=_measured_change(
            "all threads", before, after, before.total_cpu_ratio, after.total_cpu_ratio
        ),
        functions=_sampled_changes(before, _functions(before), after, _functions(after)),
        stacks=_sampled_changes(before, _stacks(before), after, _stacks(after)),
        threads=_thread_changes(before, after),
        containers=_container_changes(*loads) if len(loads) == len(both) else None,
    )


def _recorded(profile: Profile) -> Recorded:
    return Recorded(
        target=profile.target,
        host=profile.host,
        started_at=profile.started_at,
        duration_s=profile.window.duration_s,
        frequency_hz=profile.frequency_hz,
        samples=len(profile.samples),
        tool_version=profile.tool_version,
        command=profile.command,
        has_lookups=has_lookups(profile),
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
) -> CpuChanges:
    ratios = sample_ratio(before), sample_ratio(after)
    return _cpu_changes(
        sampled_change(names, (counts_before[names], counts_after[names]), ratios)
        for names in counts_before.keys() | counts_after.keys()
    )


def _thread_changes(before: Profile, after: Profile) -> CpuChanges:
    old, new = _threads(before), _threads(after)
    return _cpu_changes(
        _measured_change(name, before, after, old.get(name, 0.0), new.get(name, 0.0))
        for name in old.keys() | new.keys()
    )


def _threads(profile: Profile) -> Mapping[str, float]:
    ratios: dict[str, list[float]] = defaultdict(list)
    for thread in profile.threads:
        ratios[thread.title].append(thread.cpu_ratio)
    return {name: math.fsum(parts) for name, parts in ratios.items()}


def _measured_change(
    name: str, before: Profile, after: Profile, before_ratio: float, after_ratio: float
) -> CpuChange:
    noise = math.hypot(*(_TICKS_S / profile.window.duration_s for profile in (before, after)))
    return CpuChange((name,), before_ratio, after_ratio, noise)


def _cpu_changes(changes: Iterable[CpuChange]) -> CpuChanges:
    differing = [one for one in changes if one.before_ratio != one.after_ratio]
    clear = [one for one in differing if one.is_clear]
    clear.sort(key=lambda one: (-abs(one.delta_ratio), one.names))
    return CpuChanges(tuple(clear), len(differing) - len(clear))


def _loads(profile: Profile) -> Mapping[tuple[str, str], ContainerLoad]:
    groups: dict[tuple[str, str], list[ContainerUse]] = defaultdict(list)
    for container in profile.containers:
        groups[_name(container), container.kind].append(container)
    return {key: _load(group, profile.window.duration_s) for key, group in groups.items()}


def _load(containers: list[ContainerUse], seconds: float) -> ContainerLoad:
    elements = [item.elements_end for item in containers if item.elements_end is not None]
    return ContainerLoad(
        lookups_hz=math.fsum(item.lookups.total_or_bound for item in containers) / seconds,
        lookups_noise_hz=math.hypot(*map(_lookups_noise, containers)) / seconds,
        duration_ratio=math.fsum(item.estimated_duration_ns for item in containers) / seconds / 1e9,
        duration_noise_ratio=math.hypot(*map(_duration_noise_ns, containers)) / seconds / 1e9,
        elements=sum(elements) if elements else None,
    )


def _lookups_noise(container: ContainerUse) -> float:
    """Return the error of their number, and what chance makes of it; all of it if nobody knows."""
    counts = container.lookups
    if counts.estimated_total is None or counts.estimated_high is None:
        return counts.total_or_bound
    half = (counts.estimated_high - counts.estimated_low) / 2
    return math.hypot(half * Z_CLEAR / Z_95, Z_CLEAR * math.sqrt(counts.estimated_total))


def _duration_noise_ns(container: ContainerUse) -> float:
    """Return the error of the time of all lookups: of their number, and of the mean."""
    total = container.lookups.total_or_bound
    number = _lookups_noise(container) / total if total else 0.0
    mean = Z_CLEAR * _mean_error_ratio(container.duration_ns)
    return container.estimated_duration_ns * math.hypot(number, mean)


def _mean_error_ratio(measured: Quantiles) -> float:
    """Return the standard error of a mean, as a part of it."""
    count = sum(number for *_, number in measured.histogram)
    if not count or not measured.mean:
        return 0.0
    squares = (
        number * ((low + high - 1) / 2 - measured.mean) ** 2
        for low, high, number in measured.histogram
    )
    return math.sqrt(math.fsum(squares)) / count / measured.mean


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
) -> ContainerChanges:
    differing = [
        ContainerChange(*key, before.get(key), after.get(key))
        for key in before.keys() | after.keys()
        if before.get(key) != after.get(key)
    ]
    clear = [change for change in differing if change.is_clear]
    clear.sort(key=lambda change: (-abs(change.delta_ratio), change.name, change.kind))
    return ContainerChanges(tuple(clear), len(differing) - len(clear))
