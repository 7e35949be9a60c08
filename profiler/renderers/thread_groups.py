"""Threads as outputs show them: a busy one by itself, a group that runs the same as one.

A PBX has a thread for each call. A thousand of them that take a thousandth of a CPU each are one
thing to know, not a thousand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from profiler.model.profile import Profile, Thread
from profiler.renderers.labels import LABEL_MAX, clip, thread_label

# Of one CPU: a thread that uses as much is shown by itself.
BUSY_RATIO = 0.01


@dataclass(frozen=True, slots=True)
class ThreadGroup:
    """One thread, or several with the same role and name that use little each; ratios are sums."""

    threads: tuple[Thread, ...]  # busiest first

    @property
    def is_many(self) -> bool:
        """Return whether these are several threads."""
        return len(self.threads) > 1

    @property
    def title(self) -> str:
        """What they run, else what they are called."""
        return self.threads[0].title

    @property
    def name(self) -> str:
        """The name that the kernel knows them by."""
        return self.threads[0].name

    @property
    def label(self) -> str:
        """The title, and the tid or how many threads these are."""
        if self.is_many:
            return f"{clip(self.title, LABEL_MAX)} ({len(self.threads):,} threads)"
        return thread_label(self.threads[0].tid, self.threads[0])

    @property
    def cpu_ratio(self) -> float:
        """CPU time, of one CPU."""
        return sum(thread.cpu_ratio for thread in self.threads)

    @property
    def run_delay_ratio(self) -> float | None:
        """Time in which they were ready to run, but not on a CPU; None if of none it is known."""
        known = [t.run_delay_ratio for t in self.threads if t.run_delay_ratio is not None]
        return sum(known) if known else None

    @property
    def samples(self) -> int:
        """Samples of all of them."""
        return sum(thread.samples for thread in self.threads)


def thread_groups(profile: Profile) -> tuple[ThreadGroup, ...]:
    """Return every thread of a profile in one group each, the busiest group first."""
    found: dict[tuple[object, ...], list[Thread]] = {}
    for index, thread in enumerate(profile.threads):
        is_busy = thread.cpu_ratio >= BUSY_RATIO
        key = (index,) if is_busy else (thread.role, thread.name)
        found.setdefault(key, []).append(thread)
    made = (
        ThreadGroup(tuple(sorted(threads, key=lambda thread: -thread.cpu_ratio)))
        for threads in found.values()
    )
    return tuple(sorted(made, key=lambda group: -group.cpu_ratio))


def lane_namer(profile: Profile) -> Callable[[int], str]:
    """Return a function from a thread's tid to the name of its group."""
    labels: dict[int, str] = {}
    for group in thread_groups(profile):
        labels |= dict.fromkeys((thread.tid for thread in group.threads), group.label)
    return lambda tid: labels.get(tid) or thread_label(tid, None)
