"""CPU samples in container operations: by call site, and by the lookups that were met there. Pure.

A sample tells the operation and its call site, but not the container. Lookups that were counted or
measured at the same call site do. Where they went to several containers, or searched in several
ways, the samples are divided by the time that those lookups took.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from profiler.model.cpu_share import CpuShare, cpu_share
from profiler.model.profile import LOOKUPS, ContainerPart, ContainerUse, OperationUse
from profiler.model.recording import CallSite, LookupGroup, Recording

_Operation = tuple[str, int]  # name and call site
_Lookups = tuple[int, int, str, int]  # what makes one row: container, call site, entry, flags
# So many of the last windows are kept whole, profiler/windows/kept_windows.py: older ones are
# merged, and do not tell at which moments they were open.
WHOLE_WINDOWS = 1_000


class OperationSamples:
    """The samples of each operation, and of each container's lookups."""

    def __init__(self, recording: Recording) -> None:
        """Count them."""
        self._recording = recording
        used_ns = sum(thread.cpu_ns for thread in recording.threads)
        self._cpu_ratio = used_ns / recording.window.duration_ns
        self._counts = _counts(recording)
        self._parts = _parts(recording, self._counts)
        self._of_lookups: defaultdict[_Lookups, list[float]] = defaultdict(list)
        self._divided: set[_Lookups] = set()
        for found, parts in self._parts.items():
            for lookups, part in parts.items():
                self._of_lookups[lookups].append(part * self._counts[found])
            if len({container for container, *_ in parts}) > 1:
                self._divided.update(parts)

    def of_lookups(self, groups: Iterable[LookupGroup]) -> CpuShare | None:
        """Return the CPU time of these lookups; None if nobody looked for operations."""
        if self._recording.operations is None:
            return None
        found = set(map(_row, groups))
        samples = math.fsum(part for row in found for part in self._of_lookups[row])
        return self._share(samples, is_divided=not found.isdisjoint(self._divided))

    def uses(self, containers: Mapping[int, ContainerUse]) -> tuple[OperationUse, ...] | None:
        """Return all operations, most CPU time first; `containers` are those of the recording."""
        if self._recording.operations is None:
            return None
        ranked = sorted(self._counts, key=lambda found: (-self._counts[found], found))
        return tuple(self._use(found, containers) for found in ranked)

    def _use(self, found: _Operation, containers: Mapping[int, ContainerUse]) -> OperationUse:
        name, call_site = found
        site: CallSite = self._recording.call_sites[call_site]
        by_container: defaultdict[int, list[float]] = defaultdict(list)
        for (container, *_), part in self._parts[found].items():
            by_container[container].append(part)
        parts = [
            ContainerPart(containers[index].address, containers[index].label, math.fsum(each))
            for index, each in by_container.items()
        ]
        return OperationUse(
            name=name,
            file=site.file,
            line=site.line,
            function=site.function,
            cpu=self._share(self._counts[found], is_divided=len(parts) > 1),
            containers=tuple(sorted(parts, key=lambda part: (-part.ratio, part.address))),
        )

    def _share(self, samples: float, *, is_divided: bool) -> CpuShare:
        all_samples = len(self._recording.samples)
        return cpu_share(samples, all_samples, self._cpu_ratio, is_divided=is_divided)


def seen_lookups_ratio(recording: Recording) -> float | None:
    """Return which share of the samples in lookups fell into windows; None if there are none."""
    windows = sorted(recording.probe_windows, key=lambda window: window.start_ns)
    since_ns = 0
    if len(windows) > WHOLE_WINDOWS:
        windows = windows[-WHOLE_WINDOWS:]
        since_ns = windows[0].start_ns
    in_lookups = {
        stack
        for operation in recording.operations or ()
        if operation.name in LOOKUPS
        for stack in operation.stacks
    }
    starts = [window.start_ns for window in windows]
    seen = unseen = 0
    for sample in recording.samples:
        if sample.stack in in_lookups and sample.time_ns >= since_ns:
            at = bisect_right(starts, sample.time_ns)
            if at and sample.time_ns < windows[at - 1].end_ns:
                seen += 1
            else:
                unseen += 1
    return seen / (seen + unseen) if seen + unseen else None


def _counts(recording: Recording) -> Counter[_Operation]:
    """Return the samples of each operation."""
    by_stack = Counter(sample.stack for sample in recording.samples)
    counts: Counter[_Operation] = Counter()
    for operation in recording.operations or ():
        found = sum(by_stack[stack] for stack in operation.stacks)
        if found:
            counts[operation.name, operation.call_site] += found
    return counts


def _parts(
    recording: Recording, operations: Iterable[_Operation]
) -> dict[_Operation, dict[_Lookups, float]]:
    """Return how the samples of operations are divided among the lookups that were met there."""
    met: defaultdict[int, list[LookupGroup]] = defaultdict(list)
    for group in recording.lookups:
        met[group.call_site].append(group)
    found = {}
    for name, call_site in operations:
        # Without a line, operations that one function calls are told apart by their names.
        is_exact = recording.call_sites[call_site].line is not None
        found[name, call_site] = _divided(
            [group for group in met[call_site] if is_exact or group.entry.strip("_") == name]
        )
    return found


def _divided(groups: Sequence[LookupGroup]) -> dict[_Lookups, float]:
    """Return the part that each has of the time that these lookups took."""
    timed = sum(group.duration_ns.count for group in groups)
    mean_ns = sum(group.duration_ns.total for group in groups) / timed if timed else 1.0
    weights: defaultdict[_Lookups, float] = defaultdict(float)
    for group in groups:
        weights[_row(group)] += _weight(group, mean_ns)
    total = math.fsum(weights.values())
    return {row: weight / total for row, weight in weights.items()} if total > 0 else {}


def _row(group: LookupGroup) -> _Lookups:
    return group.container, group.call_site, group.entry, group.flags


def _weight(group: LookupGroup, mean_ns: float) -> float:
    """Return the time of these lookups in ns; at least one for each that was seen.

    Lookups that were only counted take `mean_ns`, as others of their call site.
    """
    duration = group.duration_ns
    own_ns = duration.total / duration.count if duration.count else mean_ns
    return max(group.estimated_total * own_ns, float(max(group.measured, group.counted)))
