"""Who waits for whom: two snapshots made into chains and deadlocks, ready to show.

Times are integer nanoseconds. Indices point into the tuples of the same `WaitPicture`. The waits
JSON is this structure field by field, see `renderers/exports/waits_json.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from profiler.model.finding import Finding
from profiler.model.recording import Target
from profiler.model.waits import Lock, WaitingThread

SCHEMA = "ebpf-prof/waits/1"


class WaitStatus(Enum):
    """The whole picture in one word, the best first."""

    OK = "ok"
    STUCK = "stuck"  # a lock is waited for too long
    DEADLOCK = "deadlock"


@dataclass(frozen=True, slots=True)
class LockWait:
    """One thread that waits for a lock, and who has that; in deadlocks also for a thread's end.

    `stands`: it waited for it in both snapshots, and has not run in between.
    """

    waiter: int  # tid
    lock: int | None  # index into WaitPicture.locks; None: it waits until `owner` ends
    owner: int | None  # tid; None: nobody, readers, or not known
    waiting_ns: int | None
    stands: bool


@dataclass(frozen=True, slots=True)
class LockQueue:
    """All threads that wait for one lock; at depth 1 the lock that a chain begins with."""

    lock: int  # index into WaitPicture.locks
    depth: int
    waits: tuple[LockWait, ...]  # who has waited longest first
    before_count: int = 0  # how many waited for it in the first snapshot


@dataclass(frozen=True, slots=True)
class WaitChain:
    """A thread that waits for no lock, and all threads that wait behind it.

    A queue follows the one in which its lock's owner waits, one deeper.
    """

    root: int | None  # tid; None: nobody knows who has the first lock
    queues: tuple[LockQueue, ...]

    @property
    def waits(self) -> tuple[LockWait, ...]:
        """Everybody who waits in it."""
        return tuple(wait for queue in self.queues for wait in queue.waits)

    @property
    def longest_ns(self) -> int:
        """How long the first of them has waited."""
        return max((wait.waiting_ns or 0 for wait in self.waits), default=0)


@dataclass(frozen=True, slots=True)
class Deadlock:
    """Threads that wait for each other in a circle: each has the lock that the one before wants.

    Or the one before waits until it ends (pthread_join).
    All of them stand, so it was there for the whole time between both snapshots.
    """

    waits: tuple[LockWait, ...]  # each for the next one, the last for the first
    behind: tuple[LockQueue, ...]  # who else waits for the locks that they have
    gives_up: tuple[int, ...] = ()  # tids of those that wait for a limited time only

    @property
    def age_ns(self) -> int | None:
        """For how long it has been closed: since the last of them began to wait."""
        known = [wait.waiting_ns for wait in self.waits if wait.waiting_ns is not None]
        return min(known, default=None)

    @property
    def behind_count(self) -> int:
        """How many threads wait behind it."""
        return sum(len(queue.waits) for queue in self.behind)


@dataclass(frozen=True, slots=True)
class WaitPicture:
    """Everything that `ebpf-prof waits` shows."""

    schema: str
    tool_version: str
    taken_at: str  # "2026-11-28T02:00:00Z"
    target: Target
    interval_ns: int  # between the snapshots
    stuck_ns: int  # who waits longer for a lock, or keeps others waiting, is stuck
    status: WaitStatus
    findings: tuple[Finding, ...]  # worst first
    deadlocks: tuple[Deadlock, ...]
    chains: tuple[WaitChain, ...]  # who keeps others waiting longest first
    waits: tuple[LockWait, ...]  # by waiter: everybody who waits for a lock
    threads: tuple[WaitingThread, ...]  # all, by tid, as in the second snapshot
    locks: tuple[Lock, ...]
    lock_names: tuple[str, ...]  # of each lock, for people
    warnings: tuple[str, ...]
