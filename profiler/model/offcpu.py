"""When threads did not run, and why: what is in the recording.

Times are integer nanoseconds of CLOCK_MONOTONIC. Addresses are the target's. `None` is unknown. A
wait begins when a thread leaves its CPU and ends when it runs again. Waits are seen in windows, and
some of them are chosen at random: `count` and `time_ns` make up for those that were not.
"""

from __future__ import annotations

from dataclasses import dataclass

from profiler.model.quantities import Accounting, Distribution, Window

# Kinds of waiting: why a thread did not run.
LOCK = "lock"  # a mutex or rwlock that another thread had
CONDITION = "condition"  # until another thread has work for it: no trouble by itself
JOIN = "join"  # the end of a thread
FUTEX = "futex"  # a lock or a condition, and nobody knows which
SLEEP = "sleep"
NETWORK = "network"  # a socket, or any of several descriptors, as in poll
PIPE = "pipe"
DISK = "disk"
CHILD = "child process"
OTHER = "other"
PREEMPTED = "preempted"  # it was ready to run, and others had the CPU
KINDS = (LOCK, CONDITION, JOIN, FUTEX, SLEEP, NETWORK, PIPE, DISK, CHILD, OTHER, PREEMPTED)

# Who ended a wait.
BY_THREAD = "thread"  # one of the target, which gave the lock back, or had work
BY_PROCESS = "other process"
BY_KERNEL = "kernel"  # a timer or an interrupt: the time was over, something arrived
BY_NOBODY = "nobody"  # it was not seen to be woken: preempted, still waiting, not known
WAKERS = (BY_THREAD, BY_PROCESS, BY_KERNEL, BY_NOBODY)


@dataclass(frozen=True, slots=True)
class WaitLock:
    """A lock that threads waited for, as it was while the recording ran.

    Functions are named as frames are; all of it comes from the target. `variables` is what the
    source calls it where threads wait for it, `files` where that is.
    """

    address: int
    kind: str  # mutex, rwlock, unknown
    place: str | None = None  # "asterisk: channels_lock": a global variable
    object: int | None = None  # address of the ao2 object that it belongs to
    destructor: str | None = None  # of that object
    container: str | None = None  # hash, list, rbtree: what the object is, if it is a container
    comparator: str | None = None
    hash_function: str | None = None
    sort_function: str | None = None
    elements: int | None = None
    buckets: int | None = None
    variables: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WaitGroup:
    """Waits of one thread for one reason at one place, ended by one.

    `count` and `time_ns` are what waits of this group were and took inside the windows; divided by
    OffCpu.covered_ratio they stand for the whole recording. `duration_ns` has those that were seen
    to end, from their beginning on, also where that was before a window.
    """

    tid: int
    kind: str  # one of KINDS
    syscall: str | None  # its name: "futex", "poll"; None: not in one
    lock: int | None  # index into OffCpu.locks
    stack: int | None  # index into Recording.stacks; None: its stack was not unwound
    waker: str  # one of WAKERS
    waker_tid: int | None
    waker_stack: int | None  # where its last waker was: for a lock, who gave it back
    seen: int
    count: float
    time_ns: float
    duration_ns: Distribution
    max_ns: int  # also of those that still waited
    waiting: int  # of `seen`, those that had not ended when their window did


@dataclass(frozen=True, slots=True)
class LongWait:
    """A thread that did not run for long, as it was found by looking at all about once a second.

    These are found for certain, however short the windows are. `holder_tid`: who had the lock.
    """

    tid: int
    kind: str  # one of KINDS
    since_ns: int
    until_ns: int  # when it was last seen waiting
    has_ended: bool  # before the recording did
    lock: int | None  # index into OffCpu.locks
    stack: int | None  # index into Recording.stacks
    holder_tid: int | None = None
    holder_stack: int | None = None

    @property
    def duration_ns(self) -> int:
        """The time that it waited at least."""
        return self.until_ns - self.since_ns


@dataclass(frozen=True, slots=True)
class OffCpu:
    """When threads did not run, and why.

    Accounting: fired are the waits that were seen in windows, kept are in the groups, filtered
    were not chosen (others count for them), lost found no room, truncated are in the groups with a
    truncated stack.
    """

    windows: tuple[Window, ...]  # in a long run, neighbours are merged
    covered_ns: int  # the time in which waits were seen
    covered_ratio: float  # of the recording
    groups: tuple[WaitGroup, ...]
    locks: tuple[WaitLock, ...]
    long_waits: tuple[LongWait, ...]
    accounting: Accounting
    cost_ns: int  # to the target; part of what all probes took
