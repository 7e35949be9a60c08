"""Threads that run the same as one group, an outstanding one by itself. Pure.

A PBX has a thread for each call. A thousand of them that take a thousandth of a CPU each are one
thing to know, not a thousand.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from profiler.model.profile import Thread, ThreadGroup

_QUIET_RATIO = 0.01  # of one CPU: a thread that uses less is never shown by itself
_LEAST_MANY = 4  # so many busy threads that run the same are one group, too
_OUTSTANDING = 5  # times what the middle one of them uses: who uses as much stands out


def thread_groups(threads: Iterable[Thread]) -> tuple[ThreadGroup, ...]:
    """Return every thread in one group, the busiest group first."""
    same: dict[tuple[str | None, str | None, str], list[Thread]] = defaultdict(list)
    for thread in threads:
        same[thread.role, thread.start, thread.name].append(thread)
    groups = [_group(parts) for found in same.values() for parts in _divide(found)]
    return tuple(sorted(groups, key=lambda group: (-group.cpu_ratio, group.tids)))


def _divide(threads: list[Thread]) -> Iterator[Sequence[Thread]]:
    """Yield threads that run the same: those that stand out one by one, then all others."""
    threads.sort(key=lambda thread: (thread.count > 1, -thread.cpu_ratio, thread.tid))
    busy = [one.cpu_ratio for one in threads if one.cpu_ratio >= _QUIET_RATIO and one.count == 1]
    alone = 0
    while alone < len(busy):
        others = busy[alone:]
        if len(others) >= _LEAST_MANY and others[0] < _OUTSTANDING * others[len(others) // 2]:
            break
        yield [threads[alone]]
        alone += 1
    if alone < len(threads):
        yield threads[alone:]


def _group(threads: Sequence[Thread]) -> ThreadGroup:
    delays = [one.run_delay_ratio for one in threads if one.run_delay_ratio is not None]
    return ThreadGroup(
        tids=tuple(thread.tid for thread in threads),
        title=threads[0].title,
        name=threads[0].name,
        cpu_ratio=sum(thread.cpu_ratio for thread in threads),
        run_delay_ratio=sum(delays) if delays else None,
        samples=sum(thread.samples for thread in threads),
        count=sum(thread.count for thread in threads),
    )
