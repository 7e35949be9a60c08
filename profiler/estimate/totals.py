"""Estimates how many lookups each group made in the whole recording, from all its windows. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

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

# Lookups that take longer than the target runs meanwhile wait for something.
WAITING_RATIO = 1.5


def do_wait(lookups_ns: int, ran_ns: int) -> bool:
    """Return whether lookups wait for each other: they take more time than all threads run.

    Waits for a CPU, and lookups inside others, which count twice, may make it say so as well.
    """
    return lookups_ns > WAITING_RATIO * ran_ns


def estimate_totals(
    windows: Sequence[MeasuredWindow],
    groups: Mapping[GroupKey, Group],
    cpu_begin_ns: int,
    cpu_end_ns: int,
) -> dict[GroupKey, Estimate]:
    """Return the estimated number of lookups of each group between two times of the CPU clock."""
    lookups_wait = _do_wait(windows, groups)
    used, spans = _spans(windows, lookups_wait)
    # By window, of those that saw any: all groups in all windows of a day would be gigabytes.
    counts: dict[GroupKey, dict[int, float]] = {key: {} for key in groups}
    owners = _owners(groups)
    for index, window in enumerate(used):
        inside = _inside_ratio(window)
        for seen in window.groups:
            key = owners.get(seen.key) if window.is_counting else seen.key
            if key is not None:
                counts[key][index] = counts[key].get(index, 0.0) + seen.measured * inside
    pooled = pools(spans, cpu_begin_ns, cpu_end_ns)
    return {
        key: estimate([seen.get(index, 0.0) for index in range(len(spans))], pooled)
        for key, seen in counts.items()
    }


def _spans(
    windows: Sequence[MeasuredWindow], lookups_wait: bool
) -> tuple[list[MeasuredWindow], list[Span]]:
    """Return the windows that are good for totals, and the span of each."""
    is_good = _good_windows(windows, lookups_wait)
    used: list[MeasuredWindow] = []
    spans: list[Span] = []
    outside_ns = 0
    for _, together in groupby(windows, lambda window: (window.cpu_begin_ns, window.cpu_end_ns)):
        stretch = tuple(together)
        good = tuple(window for window in stretch if is_good(window))
        outside_ns += sum(window.window.cost_ns for window in stretch)
        outside_ns -= sum(window.cost_ns for window in good)
        if good:
            used += good
            spans += _spans_of(good, outside_ns, lookups_wait)
            outside_ns = 0
    return used, spans


def _spans_of(
    good: tuple[MeasuredWindow, ...], outside_ns: int, lookups_wait: bool
) -> Iterator[Span]:
    """Yield the spans of one stretch; what lies between its windows is shared by their number."""
    whole_ns = good[0].cpu_end_ns - good[0].cpu_begin_ns
    between_ns = max(whole_ns - sum(window.cpu_ns for window in good), 0)
    merged = sum(window.merged for window in good)
    for window in good:
        waiting_ratio = COUNTED_WAITING_DOUBT_RATIO if window.is_counting else WAITING_DOUBT_RATIO
        yield Span(
            window.cpu_begin_ns,
            window.cpu_end_ns,
            window.cost_ns,
            outside_ns * window.merged // merged,
            window.entry_count if window.is_counting else window.admitted,
            0 if window.is_counting else window.refused,
            window.is_overhead_dominated,
            waiting_ratio if lookups_wait else 0.0,
            whole_ns - window.cpu_ns,
            between_ns * window.merged // merged,
        )


def _good_windows(
    windows: Sequence[MeasuredWindow], lookups_wait: bool
) -> Callable[[MeasuredWindow], bool]:
    """Tell which windows are good for totals; all of them if none is.

    A measuring window is unless it is overhead-dominated, a counting one always: it costs less for
    each lookup. Where lookups wait for each other, measuring them changes what they need: then only
    counting windows are good, if they counted enough.
    """
    counted = sum(window.entry_count for window in windows if window.is_counting)
    if lookups_wait and counted >= POOLED_LOOKUPS:
        return lambda window: window.is_counting
    if all(window.is_overhead_dominated and not window.is_counting for window in windows):
        return lambda _: True
    return lambda window: window.is_counting or not window.is_overhead_dominated


def _do_wait(windows: Sequence[MeasuredWindow], groups: Mapping[GroupKey, Group]) -> bool:
    ran_ns = sum(window.cpu_ns for window in windows if not window.is_counting)
    return do_wait(sum(group.duration_total_ns for group in groups.values()), ran_ns)


def _inside_ratio(window: MeasuredWindow) -> float:
    """Return which part of a window's lookups began between its ends."""
    lookups = sum(group.measured for group in window.groups)
    return window.entry_count / lookups if window.is_counting and lookups else 1.0


def _owners(groups: Mapping[GroupKey, Group]) -> dict[GroupKey, GroupKey]:
    """Return the group that a counting window's key, which has no comparator, belongs to.

    Where a container's address was used twice, that is the one with more lookups. Keys that no
    measured lookup has are calls of one entry function by another one.
    """

    def measured(key: GroupKey) -> int:
        return sum(groups[key].verdicts)

    keys: Iterable[GroupKey] = sorted(groups, key=measured)
    return {replace(key, comparator=0): key for key in keys}
