"""Threads as outputs show them: a busy one by itself, a group that runs the same as one.

A PBX has a thread for each call. A thousand of them that take a thousandth of a CPU each are one
thing to know, not a thousand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from profiler.model.profile import Profile, Thread
from profiler.renderers.labels import LABEL_MAX, clip

# Of one CPU: a thread that uses as much is shown by itself.
BUSY_RATIO = 0.01


@dataclass(frozen=True, slots=True)
class ThreadGroup:
    """One thread, or several with the same role and name that use little each; numbers are sums."""

    tids: tuple[int, ...]  # busiest first
    title: str
    name: str  # that the kernel knows them by
    cpu_ratio: float
    run_delay_ratio: float | None  # None if it is known of none
    samples: int

    @property
    def is_many(self) -> bool:
        """Return whether these are several threads."""
        return len(self.tids) > 1

    @property
    def label(self) -> str:
        """The title, and the tid or how many threads these are."""
        which = f"{len(self.tids):,} threads" if self.is_many else self.tids[0]
        return f"{clip(self.title, LABEL_MAX)} ({which})"


def thread_groups(profile: Profile) -> tuple[ThreadGroup, ...]:
    """Return every thread of a profile in one group each, the busiest group first."""
    found: dict[tuple[object, ...], list[Thread]] = {}
    for index, thread in enumerate(profile.threads):
        is_busy = thread.cpu_ratio >= BUSY_RATIO
        key = (index,) if is_busy else (thread.role, thread.name)
        found.setdefault(key, []).append(thread)
    return tuple(sorted(map(_group, found.values()), key=lambda group: -group.cpu_ratio))


def _group(threads: Sequence[Thread]) -> ThreadGroup:
    delays = [one.run_delay_ratio for one in threads if one.run_delay_ratio is not None]
    return ThreadGroup(
        tids=tuple(thread.tid for thread in threads),
        title=threads[0].title,
        name=threads[0].name,
        cpu_ratio=sum(thread.cpu_ratio for thread in threads),
        run_delay_ratio=sum(delays) if delays else None,
        samples=sum(thread.samples for thread in threads),
    )


def lane_namer(profile: Profile) -> Callable[[int], str]:
    """Return a function from a thread's tid to the name of its group."""
    labels = {tid: group.label for group in thread_groups(profile) for tid in group.tids}
    return lambda tid: labels.get(tid, f"thread ({tid})")
