"""Estimates how many lookups each group made in the whole recording, from all its windows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from profiler.estimate.contention import do_wait
from profiler.estimate.extrapolation import (
    COUNTED_WAITING_DOUBT_RATIO,
    POOLED_LOOKUPS,
    WAITING_DOUBT_RATIO,
    Estimate,
    Span,
    estimate,
    pools,
)
from profiler.model.observed import MeasuredWindow
from profiler.wire.lookups import Group, GroupKey


def estimate_totals(
    windows: Sequence[MeasuredWindow],
    groups: Mapping[GroupKey, Group],
    cpu_begin_ns: int,
    cpu_end_ns: int,
) -> dict[GroupKey, Estimate]:
    """Return the estimated number of lookups of each group between two times of the CPU clock."""
    lookups_wait = _do_wait(windows, groups)
    used = _good_windows(windows, lookups_wait)
    spans: list[Span] = []
    outside_ns = 0
    # By window, of those that saw any: all groups in all windows of a day would be gigabytes.
    counts: dict[GroupKey, dict[int, float]] = {key: {} for key in groups}
    owners = _owners(groups)
    for index, window in enumerate(windows):
        outside_ns += window.window.cost_ns - window.cost_ns
        if index not in used:
            outside_ns += window.cost_ns
            continue
        inside = _inside_ratio(window)
        for seen in window.groups:
            key = owners.get(seen.key) if window.is_counting else seen.key
            if key is not None:
                before = counts[key].get(len(spans), 0.0)
                counts[key][len(spans)] = before + seen.measured * inside
        spans.append(_span(window, outside_ns, lookups_wait))
        outside_ns = 0
    pooled = pools(spans, cpu_begin_ns, cpu_end_ns)
    return {
        key: estimate([seen.get(index, 0.0) for index in range(len(spans))], pooled)
        for key, seen in counts.items()
    }


def _good_windows(windows: Sequence[MeasuredWindow], lookups_wait: bool) -> set[int]:
    """Return the indexes of windows that are good for totals; all of them if none is.

    A measuring window is unless it is overhead-dominated, a counting one always: it costs less for
    each lookup. Where lookups wait for each other, measuring them changes what they need: then only
    counting windows are good, if they counted enough.
    """
    counting = {index for index, window in enumerate(windows) if window.is_counting}
    if lookups_wait and sum(windows[index].tallied for index in counting) >= POOLED_LOOKUPS:
        return counting
    well_known = {index for index, window in enumerate(windows) if not window.is_overhead_dominated}
    return counting | well_known or set(range(len(windows)))


def _do_wait(windows: Sequence[MeasuredWindow], groups: Mapping[GroupKey, Group]) -> bool:
    ran_ns = sum(window.cpu_ns for window in windows if not window.is_counting)
    return do_wait(sum(group.duration_total_ns for group in groups.values()), ran_ns)


def _span(window: MeasuredWindow, outside_ns: int, lookups_wait: bool) -> Span:
    waiting_ratio = COUNTED_WAITING_DOUBT_RATIO if window.is_counting else WAITING_DOUBT_RATIO
    return Span(
        window.cpu_begin_ns,
        window.cpu_end_ns,
        window.cost_ns,
        outside_ns,
        window.tallied if window.is_counting else window.admitted,
        0 if window.is_counting else window.refused,
        window.is_overhead_dominated,
        waiting_ratio if lookups_wait else 0.0,
    )


def _inside_ratio(window: MeasuredWindow) -> float:
    """Return which part of a window's lookups began between its edges."""
    lookups = sum(group.measured for group in window.groups)
    return window.tallied / lookups if window.is_counting and lookups else 1.0


def _owners(groups: Mapping[GroupKey, Group]) -> dict[GroupKey, GroupKey]:
    """Return the group that a counting window's key, which has no comparator, belongs to.

    Where a container's address was used twice, that is the one with more lookups. Keys that no
    measured lookup has are calls of one entry function by another one.
    """

    def measured(key: GroupKey) -> int:
        return sum(groups[key].verdicts)

    keys: Iterable[GroupKey] = sorted(groups, key=measured)
    return {replace(key, comparator=0): key for key in keys}
