"""Estimates how many lookups each group made in the whole recording, from all its windows. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from profiler.estimates import (
    COST_DOUBT_RATIO,
    COUNTED_WAITING_DOUBT_RATIO,
    DENSE_COST_DOUBT_RATIO,
    FOUGHT_COST_DOUBT_RATIO,
    POOLED_LOOKUPS,
    WAITING_DOUBT_RATIO,
    Estimate,
    Span,
    estimate,
    pools,
)
from profiler.observed import MeasuredWindow, WatchedLink
from profiler.trap_factor import Traps, trap_factor
from profiler.watched_work import Work, is_fought_over, watched_work
from profiler.window_kinds import do_wait
from profiler.wire import Group, GroupKey

STORM_RATIO = 0.6  # of the CPU time: our cost where lookups are all that the target does


def estimate_totals(
    windows: Sequence[MeasuredWindow],
    groups: Mapping[GroupKey, Group],
    links: Sequence[WatchedLink],
    cpu_begin_ns: int,
    cpu_end_ns: int,
) -> dict[GroupKey, Estimate]:
    """Return the estimated number of lookups of each group between two times of the CPU clock."""
    lookups_wait = _do_wait(windows, groups)
    windows, doubt_ratio = _with_true_costs(windows, links)
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
        spans.append(_span(window, outside_ns, doubt_ratio, lookups_wait))
        outside_ns = 0
    pooled = pools(spans, cpu_begin_ns, cpu_end_ns)
    return {
        key: estimate([seen.get(index, 0.0) for index in range(len(spans))], pooled)
        for key, seen in counts.items()
    }


def _good_windows(windows: Sequence[MeasuredWindow], lookups_wait: bool) -> set[int]:
    """Return the indexes of windows that are good for totals; all of them if none is.

    A measuring window is while our cost in it is little, a counting one always: it costs less for
    each lookup. Where lookups wait for each other, measuring them changes what they need: then only
    counting windows are good, if they counted enough.
    """
    counting = {index for index, window in enumerate(windows) if window.is_counting}
    if lookups_wait and sum(windows[index].tallied for index in counting) >= POOLED_LOOKUPS:
        return counting
    cheap = {index for index, window in enumerate(windows) if window.is_cheap}
    return counting | cheap or set(range(len(windows)))


def _with_true_costs(
    windows: Sequence[MeasuredWindow], links: Sequence[WatchedLink]
) -> tuple[Sequence[MeasuredWindow], float]:
    """Return windows with the cost that they had in the target, and how far off dense ones' may be.

    A watched link tells it best. Else it can be told where lookups are all that the target does:
    then most of its CPU time in a measuring window is our own.
    """
    dense = [window for window in windows if window.is_counting and not window.is_cheap]
    own_ratio, doubt_ratio = _own_ratio(watched_work(dense, links))
    otherwise = FOUGHT_COST_DOUBT_RATIO if is_fought_over(links) else DENSE_COST_DOUBT_RATIO
    if doubt_ratio < otherwise:
        ours = {id(window): own_ratio * window.cpu_ns - window.cost_ns for window in dense}
        return [_dearer(window, round(ours.get(id(window), 0))) for window in windows], doubt_ratio
    counting = [_traps(window) for window in windows if window.is_counting]
    measuring = [_traps(window) for window in windows if _is_all_lookups(window)]
    factor = trap_factor(counting, measuring)
    dearer = [_dearer(window, round((factor - 1) * window.trap_ns)) for window in windows]
    return dearer, otherwise


def _own_ratio(work: Work | None) -> tuple[float, float]:
    """Return which part of the CPU time in windows was ours, and how far that may be off.

    The part is taken to be the same in all of them: of a single one it is not known well.
    """
    if work is None:
        return 0.0, math.inf
    cpu_ns = sum(window.cpu_ns for window in work.windows)
    cost_ns = cpu_ns - work.work_ns
    if cost_ns <= 0:
        return 0.0, math.inf
    return cost_ns / cpu_ns, math.sqrt(work.variance) / cost_ns


def _dearer(window: MeasuredWindow, more_ns: int) -> MeasuredWindow:
    """Return a window whose inside cost so much more; outside of it, what was paid stays."""
    whole = replace(window.window, cost_ns=window.window.cost_ns + more_ns)
    return replace(window, window=whole, cost_ns=window.cost_ns + more_ns)


def _is_all_lookups(window: MeasuredWindow) -> bool:
    return not window.is_counting and window.cost_ns > STORM_RATIO * window.cpu_ns


def _traps(window: MeasuredWindow) -> Traps:
    programs_ns = window.cost_ns - window.trap_ns
    return Traps(window.lookups, window.cpu_ns - programs_ns, float(window.trap_ns))


def _do_wait(windows: Sequence[MeasuredWindow], groups: Mapping[GroupKey, Group]) -> bool:
    ran_ns = sum(window.cpu_ns for window in windows if not window.is_counting)
    return do_wait(sum(group.duration_total_ns for group in groups.values()), ran_ns)


def _span(
    window: MeasuredWindow, outside_ns: int, dense_doubt_ratio: float, lookups_wait: bool
) -> Span:
    is_dense = not window.is_cheap
    waiting_ratio = COUNTED_WAITING_DOUBT_RATIO if window.is_counting else WAITING_DOUBT_RATIO
    return Span(
        window.cpu_begin_ns,
        window.cpu_end_ns,
        window.cost_ns,
        outside_ns,
        window.tallied if window.is_counting else window.admitted,
        0 if window.is_counting else window.refused,
        dense_doubt_ratio if is_dense else COST_DOUBT_RATIO,
        is_dense,
        waiting_ratio if lookups_wait and not is_dense else 0.0,
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
