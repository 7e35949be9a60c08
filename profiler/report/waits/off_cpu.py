"""Makes what is shown of waits from those that were seen in windows, and of the long ones. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from profiler.model.off_cpu_profile import (
    IDLE_KINDS,
    KindTime,
    LongWaitUse,
    OffCpuProfile,
    RoleWaits,
    WaitStack,
)
from profiler.model.offcpu import LongWait, OffCpu, WaitGroup
from profiler.model.recording import Recording
from profiler.report.basics.distributions import add, quantiles
from profiler.report.threads.thread_roles import Role
from profiler.report.waits.lock_uses import lock_uses
from profiler.report.waits.wait_paths import WaitPaths


def off_cpu(
    recording: Recording, names: Sequence[str], roles: Mapping[int, Role]
) -> OffCpuProfile | None:
    """Return when threads did not run, and why; None if nobody looked."""
    seen = recording.off_cpu
    if seen is None:
        return None
    paths = WaitPaths(recording, names, roles)
    whole = 1 / seen.covered_ratio if seen.covered_ratio > 0 else 0.0
    locks, places = lock_uses(seen, paths, whole)
    return OffCpuProfile(
        covered_ratio=seen.covered_ratio,
        cost_ratio=seen.cost_ns / recording.window.duration_ns,
        accounting=seen.accounting,
        kinds=_kinds(seen.groups, whole),
        roles=_roles(seen, paths, whole),
        stacks=_stacks(recording, names, seen, paths, whole, places),
        locks=locks,
        long_waits=_long_waits(seen, paths, places),
    )


def _kinds(groups: Iterable[WaitGroup], whole: float) -> tuple[KindTime, ...]:
    """Return the time of each kind, the longest first."""
    same: dict[str, list[WaitGroup]] = defaultdict(list)
    for group in groups:
        same[group.kind].append(group)
    made = (
        KindTime(
            kind,
            math.fsum(one.count for one in alike) * whole,
            math.fsum(one.time_ns for one in alike) * whole,
        )
        for kind, alike in same.items()
    )
    return tuple(sorted(made, key=lambda one: (-one.time_ns, one.kind)))


def _roles(seen: OffCpu, paths: WaitPaths, whole: float) -> tuple[RoleWaits, ...]:
    same: dict[str, list[WaitGroup]] = defaultdict(list)
    for group in seen.groups:
        same[paths.role(group.tid)].append(group)
    made = (
        RoleWaits(role, len({group.tid for group in groups}), _kinds(groups, whole))
        for role, groups in same.items()
    )
    return tuple(sorted(made, key=lambda one: (-one.time_ns, -one.idle_ns, one.role)))


def _stacks(
    recording: Recording,
    names: Sequence[str],
    seen: OffCpu,
    paths: WaitPaths,
    whole: float,
    places: Mapping[int, int],
) -> tuple[WaitStack, ...]:
    """Return waits by role, reason and call stack; stacks that look the same are one."""
    same: dict[object, list[WaitGroup]] = defaultdict(list)
    for group in seen.groups:
        stack = None if group.stack is None else recording.stacks[group.stack]
        shown = stack and (tuple(names[at] for at in stack.frames), stack.kernel_count, stack.cause)
        same[paths.role(group.tid), group.kind, shown].append(group)
    made = (_stack(groups, paths, whole, places) for groups in same.values())
    return tuple(sorted(made, key=lambda one: (one.is_idle, -one.time_ns, one.role, one.path)))


def _stack(
    groups: Sequence[WaitGroup], paths: WaitPaths, whole: float, places: Mapping[int, int]
) -> WaitStack:
    first = groups[0]
    locks = {group.lock for group in groups}
    lock = first.lock if len(locks) == 1 else None
    return WaitStack(
        role=paths.role(first.tid),
        kind=first.kind,
        stack=first.stack,
        path=paths.path(first.stack),
        lock=None if lock is None else places[lock],
        threads=len({group.tid for group in groups}),
        count=math.fsum(group.count for group in groups) * whole,
        time_ns=math.fsum(group.time_ns for group in groups) * whole,
        max_ns=max(group.max_ns for group in groups),
        duration_ns=quantiles(add(group.duration_ns for group in groups)),
    )


def _long_waits(
    seen: OffCpu, paths: WaitPaths, places: Mapping[int, int]
) -> tuple[LongWaitUse, ...]:
    """Return who waited for long: who was idle only if it had a lock that others waited for."""
    holders = {wait.holder_tid for wait in seen.long_waits}
    shown = [one for one in seen.long_waits if one.kind not in IDLE_KINDS or one.tid in holders]
    shown.sort(key=lambda one: (-one.duration_ns, one.tid, one.since_ns))
    return tuple(_long_wait(one, paths, places) for one in shown)


def _long_wait(wait: LongWait, paths: WaitPaths, places: Mapping[int, int]) -> LongWaitUse:
    return LongWaitUse(
        tid=wait.tid,
        role=paths.role(wait.tid),
        kind=wait.kind,
        since_ns=wait.since_ns,
        until_ns=wait.until_ns,
        has_ended=wait.has_ended,
        lock=None if wait.lock is None else places[wait.lock],
        path=paths.path(wait.stack),
        holder_tid=wait.holder_tid,
        holder_role=None if wait.holder_tid is None else paths.role(wait.holder_tid),
        holder_path=paths.path(wait.holder_stack),
    )
