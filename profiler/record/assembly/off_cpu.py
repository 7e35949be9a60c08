"""Makes the recording's part of what was seen of waits: reasons, stacks, and names of locks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from profiler.model.observed import UnwindStack
from profiler.model.observed_offcpu import (
    ObservedOffCpu,
    SeenLock,
    SeenLongWait,
    SeenStack,
    SeenWaits,
    WaitKey,
)
from profiler.model.offcpu import (
    BY_THREAD,
    FUTEX,
    LOCK,
    PREEMPTED,
    LongWait,
    OffCpu,
    WaitGroup,
    WaitLock,
)
from profiler.model.quantities import Accounting, Distribution, Window
from profiler.model.waits import LockKind, WaitKind
from profiler.names.session import NamingSession
from profiler.offcpu.waits import is_futex
from profiler.record.assembly.stacks import StackIndex
from profiler.record.assembly.wait_kinds import Likeness, futex_kind, shown_kind, wait_kind
from profiler.waits.frames import Frames
from profiler.waits.system_calls import MUTEX_VALUE, system_call

_NO_ARGUMENTS = (None,) * 6


class _Reason(NamedTuple):
    kind: str
    lock: int | None  # index into locks


class _GroupKey(NamedTuple):
    tid: int
    reason: _Reason
    syscall: str | None
    stack: int | None
    waker: str
    waker_tid: int | None
    waker_stack: int | None


@dataclass(slots=True)
class _Sum:
    seen: int = 0
    count: float = 0.0
    time_ns: float = 0.0
    max_ns: int = 0
    ended_max_ns: int = 0
    total_ns: int = 0
    waiting: int = 0
    slots: Counter[tuple[int, int]] = field(default_factory=Counter)

    def add(self, waits: SeenWaits) -> None:
        self.seen += waits.seen
        self.count += waits.count
        self.time_ns += waits.time_ns
        self.max_ns = max(self.max_ns, waits.max_ns)
        self.ended_max_ns = max(self.ended_max_ns, waits.ended_max_ns)
        self.total_ns += waits.total_ns
        self.waiting += waits.waiting
        for low, high, count in waits.slots:
            self.slots[low, high] += count

    def distribution(self) -> Distribution:
        slots = tuple((*ends, count) for ends, count in sorted(self.slots.items()))
        longest = self.ended_max_ns if slots else None
        return Distribution(self.seen - self.waiting, self.total_ns, longest, slots)


def recorded_off_cpu(
    observed: ObservedOffCpu,
    stacks: Mapping[int, UnwindStack],
    window: Window,
    index: StackIndex,
    names: NamingSession,
) -> OffCpu:
    """Return what was seen of waits as it is recorded; its stacks and frames go into `index`."""
    return _Recorded(observed, stacks, index, names).off_cpu(window)


class _Recorded:
    """One recording's waits while they are put together."""

    def __init__(
        self,
        observed: ObservedOffCpu,
        stacks: Mapping[int, UnwindStack],
        index: StackIndex,
        names: NamingSession,
    ) -> None:
        self._observed = observed
        self._stacks = stacks
        self._index = index
        self._names = names
        self._functions = Frames(names)
        self._by_futex = {(lock.futex, lock.kind): lock for lock in observed.locks}
        self._from_outside = {
            (wait.tid, wait.syscall, wait.arguments[0]): wait.stack for wait in observed.long_waits
        }
        self._locks: dict[int, int] = {}  # index by address
        self._seen_locks: list[SeenLock] = []
        self._calls: dict[int, set[tuple[str | None, str | None]]] = defaultdict(set)
        self._futexes: dict[int, WaitKind] = {}  # what they are, where a stack told it

    def off_cpu(self, window: Window) -> OffCpu:
        observed = self._observed
        self._name_all()
        self._find_futexes()
        sums: dict[_GroupKey, _Sum] = defaultdict(_Sum)
        for waits in observed.waits:
            sums[self._group_key(waits.key)].add(waits)
        groups = tuple(_group(key, one) for key, one in sums.items())
        long_waits = tuple(map(self._long_wait, observed.long_waits))
        return OffCpu(
            windows=observed.windows,
            covered_ns=observed.covered_ns,
            covered_ratio=min(observed.covered_ns / max(window.duration_ns, 1), 1.0),
            groups=groups,
            locks=tuple(map(self._named_lock, self._seen_locks)),
            long_waits=long_waits,
            accounting=self._accounting(groups),
            cost_ns=observed.cost_ns,
        )

    def _accounting(self, groups: Iterable[WaitGroup]) -> Accounting:
        seen = {True: 0, False: 0}
        for group in groups:
            cause = None if group.stack is None else self._index.stacks[group.stack].cause
            seen[cause is not None] += group.seen
        return Accounting(
            fired=self._observed.seen,
            kept=seen[False],
            filtered=self._observed.left_out,
            lost=self._observed.lost,
            truncated=seen[True],
        )

    def _name_all(self) -> None:
        """Name all addresses that reasons depend on, together."""
        wanted = {address for waits in self._observed.waits for address in self._frames(waits.key)}
        for wait in self._observed.long_waits:
            wanted.update(wait.stack.frames if wait.stack else ())
        for lock in self._observed.locks:
            functions = (
                lock.destructor,
                lock.comparator,
                lock.hash_function,
                lock.sort_function,
            )
            wanted.update(address for address in functions if address is not None)
        self._functions.name(wanted)

    def _find_futexes(self) -> None:
        """Note what futexes are, by who waits for them and by who has them; a mutex before all."""
        for key in (waits.key for waits in self._observed.waits):
            stack = self._frames(key)
            if not stack or key.is_preempted or not is_futex(key.syscall):
                continue
            kind = futex_kind(self._functions, stack, key.operation, Likeness.NONE)
            if kind is WaitKind.MUTEX or key.address not in self._futexes:
                self._futexes[key.address] = kind
        for wait in self._observed.long_waits:
            if wait.holder_tid is not None:
                self._futexes[wait.arguments[0]] = WaitKind.MUTEX

    def _frames(self, key: WaitKey) -> tuple[int, ...]:
        """Return the user frames of waits, addresses inside the calls; () where not known."""
        known = None if key.stack is None else self._stacks.get(key.stack)
        if known is not None:
            return known.frames[:1] + tuple(address - 1 for address in known.frames[1:])
        outside = self._outside(key)
        return () if outside is None else outside.frames

    def _outside(self, key: WaitKey) -> SeenStack | None:
        """Return the stack as it was read from outside, of one that waited for long."""
        if key.is_preempted or key.stack is not None:
            return None
        return self._from_outside.get((key.tid, key.syscall, key.address))

    def _group_key(self, key: WaitKey) -> _GroupKey:
        reason = _Reason(PREEMPTED, None)
        if not key.is_preempted:
            frames = self._frames(key)
            reason = self._reason(frames, key.syscall, key.address, key.operation, key.is_mutex)
        has_holder = reason.kind in (LOCK, FUTEX) and key.waker == BY_THREAD
        waker_stack = key.waker_stack if has_holder else None
        return _GroupKey(
            tid=key.tid,
            reason=reason,
            syscall=None if key.syscall is None else system_call(key.syscall, _NO_ARGUMENTS).name,
            stack=self._stack(key),
            waker=key.waker,
            waker_tid=key.waker_tid if has_holder else None,
            waker_stack=None if waker_stack is None else self._index.stack(waker_stack),
        )

    def _stack(self, key: WaitKey) -> int | None:
        if key.stack is not None:
            return self._index.stack(key.stack)
        return self._walked(self._outside(key))

    def _walked(self, stack: SeenStack | None) -> int | None:
        return None if stack is None else self._index.walked(stack.frames, stack.cause)

    def _reason(
        self,
        frames: tuple[int, ...],
        syscall: int | None,
        address: int,
        operation: int,
        is_mutex: bool,
    ) -> _Reason:
        seen = self._futexes.get(address)
        likeness = Likeness.NONE
        if is_mutex:
            likeness = Likeness.SEEN if seen is WaitKind.MUTEX else Likeness.VALUE
        kind = wait_kind(self._functions, frames, syscall, operation, likeness)
        if is_futex(syscall) and not frames:
            kind = seen or kind  # as of others that wait there
        if not kind.is_lock:
            return _Reason(shown_kind(kind, syscall, address, self._observed.descriptors), None)
        of = LockKind.MUTEX if kind is WaitKind.MUTEX else LockKind.RWLOCK
        lock = self._by_futex.get((address, of.value)) or SeenLock(address, address, of.value)
        self._note_call(lock.address, frames)
        return _Reason(LOCK, self._lock(lock))

    def _lock(self, lock: SeenLock) -> int:
        if lock.address not in self._locks:
            self._locks[lock.address] = len(self._seen_locks)
            self._seen_locks.append(lock)
        return self._locks[lock.address]

    def _note_call(self, lock: int, frames: tuple[int, ...]) -> None:
        """Note what the source calls a lock where a thread waits for it."""
        wanted = self._functions.wanted(frames)
        if wanted is not None:
            self._calls[lock].add(wanted[1:])

    def _named_lock(self, lock: SeenLock) -> WaitLock:
        calls = self._calls[lock.address]
        files = {source.partition(":")[0] for source, _ in calls if source}
        return WaitLock(
            address=lock.address,
            kind=lock.kind,
            place=self._names.variable(lock.address),
            object=lock.object,
            destructor=self._name(lock.destructor),
            container=lock.container,
            comparator=self._name(lock.comparator),
            hash_function=self._name(lock.hash_function),
            sort_function=self._name(lock.sort_function),
            elements=lock.elements,
            buckets=lock.buckets,
            variables=tuple(sorted({variable for _, variable in calls if variable})),
            files=tuple(sorted(files)),
        )

    def _name(self, function: int | None) -> str | None:
        return None if function is None else self._functions.stack((function,))[0].name

    def _long_wait(self, wait: SeenLongWait) -> LongWait:
        first, second, third = wait.arguments
        is_mutex = third & 0xFFFFFFFF == MUTEX_VALUE
        frames = () if wait.stack is None else wait.stack.frames
        operation = second & 0xFFFFFFFF
        reason = self._reason(frames, wait.syscall, first, operation, is_mutex)
        return LongWait(
            tid=wait.tid,
            kind=reason.kind,
            since_ns=wait.since_ns,
            until_ns=wait.until_ns,
            has_ended=wait.has_ended,
            lock=reason.lock,
            stack=self._walked(wait.stack),
            holder_tid=wait.holder_tid,
            holder_stack=self._walked(wait.holder_stack),
        )


def _group(key: _GroupKey, one: _Sum) -> WaitGroup:
    return WaitGroup(
        tid=key.tid,
        kind=key.reason.kind,
        syscall=key.syscall,
        lock=key.reason.lock,
        stack=key.stack,
        waker=key.waker,
        waker_tid=key.waker_tid,
        waker_stack=key.waker_stack,
        seen=one.seen,
        count=one.count,
        time_ns=one.time_ns,
        duration_ns=one.distribution(),
        max_ns=one.max_ns,
        waiting=one.waiting,
    )
