"""Adds up waits that have much in common, in bounded room. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from profiler.model.observed_offcpu import SeenWaits, WaitKey
from profiler.model.offcpu import BY_KERNEL, BY_NOBODY, BY_PROCESS, BY_THREAD
from profiler.model.quantities import Window
from profiler.wire.lookups import EXACT_SLOTS, OCTAVE_SLOTS, slot_range
from profiler.wire.offcpu import KERNEL, NO_SYSCALL, NOBODY, PREEMPTED, PROCESS, THREAD, Wait

MAX_KEYS = 20_000
_WAKERS = {NOBODY: BY_NOBODY, KERNEL: BY_KERNEL, THREAD: BY_THREAD, PROCESS: BY_PROCESS}
FUTEX, FUTEX_WAIT = 202, 455  # system calls
_MUTEX_VALUE = 2  # that waiters for a mutex expect: nptl/lowlevellock.c


def slot_of(value: int) -> int:
    """Return the histogram slot that a value belongs to: see slot_range."""
    if value < EXACT_SLOTS:
        return value
    octave = value.bit_length() - EXACT_SLOTS.bit_length()
    part = (value >> (value.bit_length() - OCTAVE_SLOTS.bit_length())) - OCTAVE_SLOTS
    return EXACT_SLOTS + octave * OCTAVE_SLOTS + part


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
        is_mutex=wait.syscall == FUTEX and wait.value == _MUTEX_VALUE,
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
    ended_max_ns: int = 0
    total_ns: int = 0
    slots: Counter[int] = field(default_factory=Counter)
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
            one.total_ns += duration_ns
            one.ended_max_ns = max(one.ended_max_ns, duration_ns)
            one.slots[slot_of(duration_ns)] += 1
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
            slots = ((*slot_range(slot), count) for slot, count in sorted(one.slots.items()))
            yield SeenWaits(
                key=key,
                seen=one.seen,
                count=one.count,
                time_ns=one.time_ns,
                max_ns=one.max_ns,
                ended_max_ns=one.ended_max_ns,
                total_ns=one.total_ns,
                slots=tuple(slots),
                waiting=one.waiting,
            )
