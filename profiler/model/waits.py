"""Who waits for what: the threads of one moment, their stacks, and the locks that they want.

Times are integer nanoseconds of CLOCK_MONOTONIC. Addresses are the target's. `None` is unknown.
Indices point into the tuples of the same `Snapshot`. Names come from the target: they are hostile.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from profiler.model.recording import Target


class WaitKind(Enum):
    """What a thread waits for."""

    MUTEX = "mutex"
    READ_LOCK = "rwlock, to read"
    WRITE_LOCK = "rwlock, to write"
    CONDITION = "condition"
    SEMAPHORE = "semaphore"
    JOIN = "end of a thread"
    FUTEX = "futex"  # a lock or a condition, and nobody knows which
    POLL = "poll"  # until a descriptor is ready
    SLEEP = "sleep"
    READ = "read"  # from a file, socket or pipe; also accept and the like
    WRITE = "write"
    CHILD = "child process"
    SIGNAL = "signal"
    FILE_LOCK = "file lock"
    OTHER = "other"  # in another system call, or in the kernel without one
    RUNNING = "running"  # on a CPU, or ready to: it waits for nothing

    @property
    def is_lock(self) -> bool:
        """Return whether it is a lock that another thread has."""
        return self in (WaitKind.MUTEX, WaitKind.READ_LOCK, WaitKind.WRITE_LOCK)


class LockKind(Enum):
    """What kind of lock."""

    MUTEX = "mutex"
    RWLOCK = "rwlock"


@dataclass(frozen=True, slots=True)
class LockedContainer:
    """An ao2 container behind its lock; functions by name."""

    kind: str  # hash, list, rbtree
    comparator: str | None
    hash_function: str | None
    sort_function: str | None
    elements: int | None
    buckets: int | None


@dataclass(frozen=True, slots=True)
class LockedObject:
    """The ao2 object that a lock belongs to."""

    address: int  # of its user data, as Asterisk hands it around
    destructor: str | None  # by name; None: it has none
    references: int | None
    container: LockedContainer | None = None  # None: it is another object


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that some thread waits for, as it was when it was read."""

    address: int
    kind: LockKind
    owner: int | None  # tid of who has it (a rwlock: to write); None: nobody, readers, not known
    recursion: int | None = None  # how often its owner has it; None: it cannot be taken twice
    readers: int | None = None  # of a rwlock: how many have it to read; nobody keeps who
    owner_is_gone: bool = False  # its owner ended without giving it back
    changes_hands: bool = False  # one thread after another has it: `owner` may be old
    seen_owners: tuple[int, ...] = ()  # tids that were seen to have it, at both looks
    attributes: tuple[str, ...] = ()  # of a mutex: recursive, errorcheck, adaptive, robust, PI
    object: LockedObject | None = None
    place: str | None = None  # "asterisk: channels_lock", "chan_sip.so+0x1234": a global variable
    variables: tuple[str, ...] = ()  # as the source calls it where threads wait for it: "&iflock"
    files: tuple[str, ...] = ()  # of the source, where threads wait for it: "channel.c"


@dataclass(frozen=True, slots=True)
class WaitFrame:
    """One function in a stack. `address` is where it is, or inside the call that it made."""

    name: str  # readable, never empty: "ast_channel_lock", "~cb@load_module", "asterisk+0x6db40"
    module: str | None  # the file's last part: "chan_sip.so"
    offset: int | None  # of the address, in the file
    address: int
    function_offset: int | None = None  # where the function begins, in the file
    source: str | None = None  # where it asks for a lock: "channel.c:1234"

    @property
    def label(self) -> str:
        """Its name, and where it asks for a lock."""
        return self.name if self.source is None else f"{self.name} ({self.source})"


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that a thread has. `frame`: an index into its frames, of who seems to have taken it.

    That is a guess: the outermost frame that keeps the address of the lock, or of its object.
    """

    lock: int  # index into Snapshot.locks
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class WaitingThread:
    """A thread, and what it waits for.

    `cause` is None when the stack reaches the thread's start, else why the unwinding stopped.
    `moved`: it ran each time that it was read, so its stack may be of two moments.
    `switches`: how often it left a CPU so far. Equal in two snapshots: it has not run between them.
    """

    tid: int
    name: str
    kind: WaitKind
    waiting_ns: int | None  # since it ran last
    frames: tuple[WaitFrame, ...] = ()  # leaf first
    cause: str | None = None
    moved: bool = False
    switches: int | None = None
    role: str | None = None  # what it was started to run
    state: str = "?"  # as the kernel says it: R, S, D, T, t, Z
    lock: int | None = None  # index into Snapshot.locks: which one it wants
    holds: tuple[HeldLock, ...] = ()  # of the locks that anybody wants
    waits_for: int | None = None  # tid: of a JOIN, or pid: of a CHILD
    has_timeout: bool = False  # it gives up by itself, some time
    detail: str | None = None  # more in words: "socket 12", "futex at 0x7f..."
    address: int | None = None  # of the futex that it waits on: the condition, the lock, ...
    syscall: int | None = None

    @property
    def title(self) -> str:
        """What it runs, else what it is called."""
        return self.role or self.name

    @property
    def is_whole(self) -> bool:
        """Return whether its stack reaches where it began."""
        return self.cause is None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The threads of the target at one moment, which took from `start_ns` to `end_ns` to read."""

    target: Target
    start_ns: int
    end_ns: int
    threads: tuple[WaitingThread, ...]  # by tid
    locks: tuple[Lock, ...]  # that anybody waits for, by address
    warnings: tuple[str, ...] = ()  # what is missing, and why

    def thread(self, tid: int) -> WaitingThread | None:
        """Return the thread of that id."""
        return next((thread for thread in self.threads if thread.tid == tid), None)

    def waiters(self, lock: int) -> tuple[WaitingThread, ...]:
        """Return who waits for a lock, by its index, who has waited longest first."""
        found = (thread for thread in self.threads if thread.lock == lock)
        return tuple(sorted(found, key=lambda thread: -(thread.waiting_ns or 0)))
