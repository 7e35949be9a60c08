"""The locks that threads wait for: who has them, and what they belong to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from profiler.asterisk.containers import read_container
from profiler.asterisk.objects import object_behind
from profiler.model.observed import ContainerState
from profiler.model.waits import Lock, LockedContainer, LockedObject, LockKind, WaitKind
from profiler.process.target import TargetProcess
from profiler.process.threads.present_threads import PresentThread
from profiler.waits.glibc_locks import (
    MUTEX_BYTES,
    RWLOCK_BYTES,
    MutexState,
    RwlockState,
    decode_mutex,
    decode_rwlock,
    rwlock_places,
)
from profiler.waits.settled import Futex
from profiler.wire.lookups import Kind

_CALLEE_SAVED = (3, 6, 12, 13, 14, 15)  # rbx, rbp, r12 to r15: psABI 3.2.1


@dataclass(frozen=True, slots=True)
class FoundLock:
    """A lock in the target's memory, and its state; `later` when all threads had been read."""

    address: int
    state: MutexState | RwlockState
    later: MutexState | RwlockState | None

    @property
    def owner(self) -> int | None:
        """Who has it, as a tid of the target's own; of a rwlock, to write."""
        return _owner(self.state)

    @property
    def changes_hands(self) -> bool:
        """Return whether somebody else has it by now, or nobody can tell."""
        return self.later is None or _owner(self.later) != self.owner

    @property
    def owners(self) -> set[int]:
        """Everybody who was seen to have it."""
        states = (self.state, self.later)
        return {owner for state in states if state is not None and (owner := _owner(state))}


def _owner(state: MutexState | RwlockState) -> int | None:
    return state.owner if isinstance(state, MutexState) else state.writer


def find_lock(kind: WaitKind, futex: Futex, thread: PresentThread) -> FoundLock | None:
    """Return the lock that a thread waits for, None where memory shows none."""
    if kind is WaitKind.MUTEX:
        mutex = _mutex(futex.at(futex.address, MUTEX_BYTES))
        later = _mutex(futex.later_at(futex.address, MUTEX_BYTES))
        return None if mutex is None else FoundLock(futex.address, mutex, later)
    if kind in (WaitKind.READ_LOCK, WaitKind.WRITE_LOCK):
        hints = [thread.registers[number] for number in _CALLEE_SAVED]
        for place in rwlock_places(kind, futex.address, hints):
            rwlock = _rwlock(futex.at(place, RWLOCK_BYTES))
            if rwlock is not None:
                return FoundLock(place, rwlock, _rwlock(futex.later_at(place, RWLOCK_BYTES)))
    return None


def _mutex(data: bytes | None) -> MutexState | None:
    return None if data is None else decode_mutex(data)


def _rwlock(data: bytes | None) -> RwlockState | None:
    return None if data is None else decode_rwlock(data)


class LockNames:
    """Says what locks belong to."""

    def __init__(
        self,
        target: TargetProcess,
        function_name: Callable[[int], str],
        variable_name: Callable[[int], str | None],
    ) -> None:
        self._target = target
        self._function_name = function_name
        self._variable_name = variable_name

    def described(self, found: FoundLock, outer: Mapping[int, int]) -> Lock:
        """Return a lock as it is shown; `outer` has the tids that we know for the target's own."""
        owner = None if found.changes_hands else found.owner
        kind = LockKind.MUTEX if isinstance(found.state, MutexState) else LockKind.RWLOCK
        lock = Lock(
            address=found.address,
            kind=kind,
            owner=None if owner is None else outer.get(owner, owner),
            owner_is_gone=owner is not None and owner not in outer,
            changes_hands=found.changes_hands,
            seen_owners=tuple(sorted(outer[tid] for tid in found.owners if tid in outer)),
            object=self._object(found.address, kind),
            place=self._variable_name(found.address),
        )
        if isinstance(found.state, MutexState):
            state = found.state
            return replace(lock, recursion=state.recursion, attributes=state.attributes)
        return replace(lock, readers=found.state.readers)

    def _object(self, address: int, kind: LockKind) -> LockedObject | None:
        memory, is_code = self._target.memory, self._target.is_code
        found = object_behind(memory, address, kind, is_code)
        if found is None:
            return None
        container = read_container(memory, found.address, is_code)
        return LockedObject(
            address=found.address,
            destructor=self._name(found.destructor),
            references=found.references,
            container=None if container is None else self._container(container),
        )

    def _container(self, state: ContainerState) -> LockedContainer:
        is_tree = state.layout.kind is Kind.RBTREE
        return LockedContainer(
            kind="rbtree" if is_tree else "list" if state.buckets == 1 else "hash",
            comparator=self._name(state.comparator),
            hash_function=self._name(state.hash_function),
            sort_function=self._name(state.sort_function),
            elements=state.elements,
            buckets=state.buckets,
        )

    def _name(self, function: int | None) -> str | None:
        return None if function is None else self._function_name(function)
