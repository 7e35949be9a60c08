"""Adds up waits that have much in common, in bounded room. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from profiler.model.observed_offcpu import SeenWaits, WaitKey
from profiler.model.offcpu import BY_KERNEL, BY_NOBODY, BY_PROCESS, BY_THREAD
from profiler.model.quantities import Window
from profiler.waits.system_calls import FUTEX, FUTEX_WAIT, MUTEX_VALUE
from profiler.windows.durations import Durations
from profiler.wire.offcpu import KERNEL, NO_SYSCALL, NOBODY, PREEMPTED, PROCESS, THREAD, Wait

MAX_KEYS = 20_000
_WAKERS = {NOBODY: BY_NOBODY, KERNEL: BY_KERNEL, THREAD: BY_THREAD, PROCESS: BY_PROCESS}


def is_futex(syscall: int | None) -> bool:
    """Return whether a system call waits on a futex."""
    return syscall in (FUTEX, FUTEX_WAIT)


def key_of(tid: int, wait: Wait) -> WaitKey:
    """Return what a wait has in common with others."""
    is_on_futex = is_futex(wait.syscall)
    is_preempted = bool(wait.flags & PREEMPTED)
    has_call = wait.syscall != NO_SYSCALL and not is_preempted
    return WaitKey(
        tid=tid,
        syscall=wait.syscall if has_call else None,
        address=0 if not has_call else wait.address if is_on_futex else wait.address & 0xFFFFFFFF,
        operation=wait.operation if is_on_futex else 0,
        is_mutex=wait.syscall == FUTEX and wait.value == MUTEX_VALUE,
        stack=wait.stack_name,
        waker=_WAKERS.get(wait.waker, BY_NOBODY),
        waker_tid=wait.waker_tid or None,
        waker_stack=wait.waker_stack_name,
        is_preempted=is_preempted,
    )


@dataclass(slots=True)
class _Sum:
    seen: int = 0
    count: float = 0.0
    time_ns: float = 0.0
    max_ns: int = 0
    ended: Durations = field(default_factory=Durations)
    waiting: int = 0


class Waits:
    """The waits of a run."""

    def __init__(self, most: int = MAX_KEYS) -> None:
        self._sums: dict[WaitKey, _Sum] = {}
        self._new_mutexes: set[int] = set()
        self._most = most

    def add(self, tid: int, wait: Wait, end_ns: int, window: Window, has_ended: bool) -> None:
        """Add a wait that ended at `end_ns`, or still waited then."""
        duration_ns = max(end_ns - wait.began_ns, 0)
        inside_ns = min(end_ns, window.end_ns) - max(wait.began_ns, window.start_ns)
        key = key_of(tid, wait)
        if key.is_mutex:
            self._new_mutexes.add(key.address)
        one = self._sum(key)
        one.seen += 1
        one.count += wait.share
        one.time_ns += wait.share * max(inside_ns, 0)
        one.max_ns = max(one.max_ns, duration_ns)
        if has_ended:
            one.ended.add(duration_ns)
        else:
            one.waiting += 1

    def _sum(self, key: WaitKey) -> _Sum:
        """Return the sum of a key; without room, that of all of its thread's of one kind."""
        if key not in self._sums and len(self._sums) >= self._most:
            key = key._replace(
                address=0, stack=None, waker=BY_NOBODY, waker_tid=None, waker_stack=None
            )
        return self._sums.setdefault(key, _Sum())

    def new_mutexes(self) -> set[int]:
        """Return the addresses of those that were waited for since the last call."""
        found, self._new_mutexes = self._new_mutexes, set()
        return found

    def different(self) -> tuple[WaitKey, ...]:
        """Return their keys."""
        return tuple(self._sums)

    def all(self) -> Iterator[SeenWaits]:
        """Yield all of them."""
        for key, one in self._sums.items():
            ended = one.ended.distribution()
            yield SeenWaits(
                key=key,
                seen=one.seen,
                count=one.count,
                time_ns=one.time_ns,
                max_ns=one.max_ns,
                ended_max_ns=ended.max or 0,
                total_ns=ended.total,
                slots=ended.slots,
                waiting=one.waiting,
            )
