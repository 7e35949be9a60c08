"""Locks that threads waited for: how long, who, where, and who had them meanwhile. Pure.

Two views are joined: waits that were seen in windows, which stand for all, and long waits, which
were all found. Of each number the larger one is true: neither view makes any up.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from profiler.model.off_cpu_profile import LockPlace, LockUse
from profiler.model.offcpu import BY_THREAD, LongWait, OffCpu, WaitGroup, WaitLock
from profiler.report.basics.distributions import add, quantiles
from profiler.report.waits.lock_names import wait_lock_name
from profiler.report.waits.wait_paths import WaitPaths

_TIDS_MAX = 8


@dataclass(frozen=True, slots=True)
class _Part:
    """Waits for a lock of one view; `tid` and `stack` of who waits, or of who has it."""

    tid: int
    stack: int | None
    count: float
    time_ns: float
    max_ns: int


def lock_uses(
    seen: OffCpu, paths: WaitPaths, whole: float
) -> tuple[tuple[LockUse, ...], Mapping[int, int]]:
    """Return the locks, the longest waited for first, and the place of each by its index."""
    groups: dict[int | None, list[WaitGroup]] = defaultdict(list)
    for group in seen.groups:
        groups[group.lock].append(group)
    long_waits: dict[int | None, list[LongWait]] = defaultdict(list)
    for wait in seen.long_waits:
        long_waits[wait.lock].append(wait)
    made = [
        (at, _use(lock, groups[at], long_waits[at], paths, whole))
        for at, lock in enumerate(seen.locks)
    ]
    made.sort(key=lambda item: (-item[1].time_ns, -item[1].max_ns, item[0]))
    return tuple(use for _, use in made), {at: place for place, (at, _) in enumerate(made)}


def _use(
    lock: WaitLock,
    groups: Sequence[WaitGroup],
    long_waits: Sequence[LongWait],
    paths: WaitPaths,
    whole: float,
) -> LockUse:
    sampled = [
        _Part(one.tid, one.stack, one.count * whole, one.time_ns * whole, one.max_ns)
        for one in groups
    ]
    found = [_Part(one.tid, one.stack, 1, one.duration_ns, one.duration_ns) for one in long_waits]
    parts = (*sampled, *found)
    unlocked = [
        _Part(one.waker_tid, one.waker_stack, one.count * whole, one.time_ns * whole, one.max_ns)
        for one in groups
        if one.waker == BY_THREAD and one.waker_tid is not None
    ]
    held = [
        _Part(one.holder_tid, one.holder_stack, 1, one.duration_ns, one.duration_ns)
        for one in long_waits
        if one.holder_tid is not None
    ]
    return LockUse(
        label=wait_lock_name(lock),
        address=lock.address,
        kind=lock.kind,
        threads=len({part.tid for part in parts}),
        count=max(_count(sampled), _count(found)),
        time_ns=max(_time_ns(sampled), _time_ns(found)),
        max_ns=max((part.max_ns for part in parts), default=0),
        waiting=sum(not wait.has_ended for wait in long_waits),
        duration_ns=quantiles(add(group.duration_ns for group in groups)),
        call_sites=_places(paths, sampled, found),
        holders=_places(paths, unlocked, held),
        tids=tuple(sorted({part.tid for part in parts}))[:_TIDS_MAX],
    )


def _count(parts: Iterable[_Part]) -> float:
    return math.fsum(part.count for part in parts)


def _time_ns(parts: Iterable[_Part]) -> float:
    return math.fsum(part.time_ns for part in parts)


def _places(paths: WaitPaths, *views: list[_Part]) -> tuple[LockPlace, ...]:
    """Return by role and path what both views say of it, the longest first."""
    same: dict[tuple[str, tuple[str, ...]], list[list[_Part]]] = defaultdict(
        lambda: [[] for _ in views]
    )
    for number, parts in enumerate(views):
        for part in parts:
            same[paths.role(part.tid), paths.path(part.stack)][number].append(part)
    made = (
        LockPlace(
            role,
            path,
            threads=len({part.tid for parts in found for part in parts}),
            count=max(map(_count, found)),
            time_ns=max(map(_time_ns, found)),
            max_ns=max(part.max_ns for parts in found for part in parts),
        )
        for (role, path), found in same.items()
    )
    return tuple(sorted(made, key=lambda one: (-one.time_ns, one.role, one.path)))
