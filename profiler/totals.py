"""Estimates how many lookups each group made in the whole recording, from all its windows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from profiler.estimates import Estimate, Span, estimate, pools
from profiler.observed import MeasuredWindow
from profiler.trap_factor import Traps, trap_factor
from profiler.wire import Group, GroupKey

# A measuring window is good for totals while our cost is below this part of the target's CPU time
# in it; else only counting windows are, which cost less for each lookup.
GOOD_RATIO = 0.2
STORM_RATIO = 0.6


def estimate_totals(
    windows: Sequence[MeasuredWindow],
    groups: Mapping[GroupKey, Group],
    cpu_begin_ns: int,
    cpu_end_ns: int,
) -> dict[GroupKey, Estimate]:
    """Return the estimated number of lookups of each group between two times of the CPU clock."""
    windows = _with_true_traps(windows)
    used = {index for index, window in enumerate(windows) if _is_good(window)}
    used = used or set(range(len(windows)))
    spans: list[Span] = []
    outside_ns = 0
    counts: dict[GroupKey, list[int]] = {key: [0] * len(used) for key in groups}
    owners = _owners(groups)
    for index, window in enumerate(windows):
        outside_ns += window.window.cost_ns - window.cost_ns
        if index not in used:
            outside_ns += window.cost_ns
            continue
        for seen in window.groups:
            key = owners.get(seen.key) if window.is_counting else seen.key
            if key is not None:
                counts[key][len(spans)] += seen.measured
        spans.append(_span(window, outside_ns))
        outside_ns = 0
    pooled = pools(spans, cpu_begin_ns, cpu_end_ns)
    return {key: estimate(seen, pooled) for key, seen in counts.items()}


def _with_true_traps(windows: Sequence[MeasuredWindow]) -> Sequence[MeasuredWindow]:
    """Return windows with the cost that traps had in the target, where that can be told.

    It can where lookups are all that the target does: then most of its CPU time in a measuring
    window is our own.
    """
    counting = [_traps(window) for window in windows if window.is_counting]
    measuring = [_traps(window) for window in windows if _is_all_lookups(window)]
    factor = trap_factor(counting, measuring)
    return [_dearer(window, round((factor - 1) * window.trap_ns)) for window in windows]


def _dearer(window: MeasuredWindow, more_ns: int) -> MeasuredWindow:
    """Return a window whose inside cost so much more; outside of it, what was paid stays."""
    whole = replace(window.window, cost_ns=window.window.cost_ns + more_ns)
    return replace(window, window=whole, cost_ns=window.cost_ns + more_ns)


def _is_all_lookups(window: MeasuredWindow) -> bool:
    cpu_ns = window.cpu_end_ns - window.cpu_begin_ns
    return not window.is_counting and window.cost_ns > STORM_RATIO * cpu_ns


def _traps(window: MeasuredWindow) -> Traps:
    programs_ns = window.cost_ns - window.trap_ns
    lookups = window.admitted + window.refused
    if window.is_counting:
        lookups = sum(group.measured for group in window.groups)
    return Traps(
        lookups, window.cpu_end_ns - window.cpu_begin_ns - programs_ns, float(window.trap_ns)
    )


def _is_good(window: MeasuredWindow) -> bool:
    return window.is_counting or (
        window.cost_ns < GOOD_RATIO * (window.cpu_end_ns - window.cpu_begin_ns)
    )


def _span(window: MeasuredWindow, outside_ns: int) -> Span:
    seen = sum(group.measured for group in window.groups)
    return Span(
        window.cpu_begin_ns,
        window.cpu_end_ns,
        window.cost_ns,
        outside_ns,
        seen if window.is_counting else window.admitted,
        0 if window.is_counting else window.refused,
    )


def _owners(groups: Mapping[GroupKey, Group]) -> dict[GroupKey, GroupKey]:
    """Return the group that a counting window's key, which has no comparator, belongs to.

    Where a container's address was used twice, that is the one with more lookups. Keys that no
    measured lookup has are calls of one entry function by another one.
    """

    def measured(key: GroupKey) -> int:
        return sum(groups[key].verdicts)

    keys: Iterable[GroupKey] = sorted(groups, key=measured)
    return {replace(key, comparator=0): key for key in keys}
