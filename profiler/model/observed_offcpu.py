"""When threads did not run: what one run saw, in the kernel's terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from profiler.model.quantities import Window


class WaitKey(NamedTuple):
    """What waits have in common that the kernel's programs saw."""

    tid: int
    syscall: int | None  # None: in the kernel without one, or preempted
    address: int  # of the futex; else a descriptor where the call has one
    operation: int  # of a futex call
    is_mutex: bool  # it looks like a wait for a mutex
    stack: int | None  # its name; None: not unwound
    waker: str  # one of WAKERS
    waker_tid: int | None = None  # of the target, or the other process's
    waker_stack: int | None = None
    is_preempted: bool = False


@dataclass(frozen=True, slots=True)
class SeenWaits:
    """The waits of one key. `slots`: (low, high, count) of the durations of those that ended."""

    key: WaitKey
    seen: int
    count: float
    time_ns: float
    max_ns: int
    ended_max_ns: int  # of those that ended
    total_ns: int  # of them
    slots: tuple[tuple[int, int, int], ...]
    waiting: int  # of `seen`, those that had not ended when their window did


@dataclass(frozen=True, slots=True)
class SeenStack:
    """A stack that was read from outside of the thread, leaf first, addresses inside the calls."""

    frames: tuple[int, ...]
    cause: str | None  # why it is truncated


@dataclass(frozen=True, slots=True)
class SeenLongWait:
    """A thread that was found not to have run for long; looked at about once a second."""

    tid: int
    syscall: int | None
    arguments: tuple[int, int, int]
    since_ns: int
    until_ns: int  # when it was last seen waiting
    has_ended: bool
    stack: SeenStack | None
    holder_tid: int | None = None
    holder_stack: SeenStack | None = None


@dataclass(frozen=True, slots=True)
class SeenLock:
    """A lock as it was read; functions by address."""

    futex: int  # where threads wait for it
    address: int
    kind: str  # mutex, rwlock
    object: int | None = None  # address of the ao2 object that it belongs to
    destructor: int | None = None
    container: str | None = None  # hash, list, rbtree: what the object is, if it is a container
    comparator: int | None = None
    hash_function: int | None = None
    sort_function: int | None = None
    elements: int | None = None
    buckets: int | None = None


@dataclass(frozen=True, slots=True)
class ObservedOffCpu:
    """Everything that was seen of waits in one run."""

    waits: tuple[SeenWaits, ...]
    long_waits: tuple[SeenLongWait, ...]
    locks: tuple[SeenLock, ...]  # what was waited on may be, if it is of that kind
    descriptors: Mapping[int, str | None]  # that threads read or wrote: socket, pipe, a path
    windows: tuple[Window, ...]
    covered_ns: int
    seen: int  # waits, in windows
    left_out: int  # that were not chosen
    lost: int  # that found no room
    cost_ns: int
    problem: str | None = None  # why nothing more was seen
