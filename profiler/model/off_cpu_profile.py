"""When threads did not run, and why, as it is shown: by role, by place, by lock.

Counts and times stand for the whole recording. Where windows saw only part of it they are
estimates, `is_estimated`; the longest waits are found for certain. `None` is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

from profiler.model.offcpu import CONDITION, NETWORK, PIPE, SLEEP
from profiler.model.quantities import Accounting, Quantiles

# Who waits so waits for work, a packet or a time. That is no trouble by itself.
IDLE_KINDS = frozenset((CONDITION, NETWORK, PIPE, SLEEP))


@dataclass(frozen=True, slots=True)
class KindTime:
    """The waits of one kind."""

    kind: str  # one of offcpu.KINDS
    count: float
    time_ns: float


@dataclass(frozen=True, slots=True)
class RoleWaits:
    """The waits of all threads that run the same."""

    role: str
    threads: int  # that were seen to wait
    kinds: tuple[KindTime, ...]  # the longest first

    @property
    def time_ns(self) -> float:
        """All of it, without what is idle."""
        return sum(one.time_ns for one in self.kinds if one.kind not in IDLE_KINDS)

    @property
    def idle_ns(self) -> float:
        """The time in which they waited for work."""
        return sum(one.time_ns for one in self.kinds if one.kind in IDLE_KINDS)

    def of(self, kind: str) -> float:
        """Return the time of one kind."""
        return sum(one.time_ns for one in self.kinds if one.kind == kind)


@dataclass(frozen=True, slots=True)
class WaitStack:
    """Waits of threads that run the same, for one reason, with one call stack."""

    role: str
    kind: str
    stack: int | None  # index into Profile.stacks; None: it was not unwound
    path: tuple[str, ...]  # the calls that tell where, outermost first
    lock: int | None  # index into OffCpuProfile.locks
    threads: int
    count: float
    time_ns: float
    max_ns: int  # also of those that still waited
    duration_ns: Quantiles  # of those that were seen to end

    @property
    def is_idle(self) -> bool:
        """Return whether it waits for work, a packet or a time."""
        return self.kind in IDLE_KINDS


@dataclass(frozen=True, slots=True)
class LockPlace:
    """Where threads that run the same wait for a lock, or where they were when they had it.

    Of a holder, numbers are what others waited for it.
    """

    role: str
    path: tuple[str, ...]  # outermost first
    threads: int
    count: float
    time_ns: float
    max_ns: int

    @property
    def label(self) -> str:
        """In words: "session_do -> ast_channel_get_by_name -> internal_ao2_traverse"."""
        if not self.path:
            return f"{self.role} (its stack is not known)"
        started = self.role.partition(" (")[0]  # "do_monitor (chan_sip.so)"
        return " -> ".join((self.role, *(name for name in self.path if name != started)))


@dataclass(frozen=True, slots=True)
class LockUse:
    """A lock that threads waited for."""

    label: str  # as `ebpf-prof waits` calls it
    address: int
    kind: str  # mutex, rwlock, unknown
    threads: int  # that waited for it
    count: float
    time_ns: float
    max_ns: int
    waiting: int  # that were still waiting when the recording ended
    duration_ns: Quantiles
    call_sites: tuple[LockPlace, ...]  # who waits, and where; the longest first
    holders: tuple[LockPlace, ...]  # who had it meanwhile; () if that is not known
    tids: tuple[int, ...] = ()  # some of those that waited


@dataclass(frozen=True, slots=True)
class LongWaitUse:
    """A thread that did not run for long: these are found for certain."""

    tid: int
    role: str
    kind: str
    since_ns: int
    until_ns: int
    has_ended: bool
    lock: int | None  # index into OffCpuProfile.locks
    path: tuple[str, ...]  # outermost first
    holder_tid: int | None  # who had the lock
    holder_role: str | None
    holder_path: tuple[str, ...]

    @property
    def duration_ns(self) -> int:
        """The time that it waited at least."""
        return self.until_ns - self.since_ns


@dataclass(frozen=True, slots=True)
class OffCpuProfile:
    """When threads did not run, and why."""

    covered_ratio: float  # of the recording, in which waits were seen
    cost_ratio: float  # of one CPU, to the target
    accounting: Accounting
    kinds: tuple[KindTime, ...]  # the longest first
    roles: tuple[RoleWaits, ...]  # the longest that is no idle waiting first
    stacks: tuple[WaitStack, ...]  # what is not idle first, then the longest
    locks: tuple[LockUse, ...]  # the longest first
    long_waits: tuple[LongWaitUse, ...]  # of what is not idle, or of who had a lock meanwhile

    @property
    def is_estimated(self) -> bool:
        """Return whether windows saw only a part of the recording."""
        return self.covered_ratio < 1
