"""Reads the locks that threads wait for while they are there: soon they may be gone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain

from profiler.asterisk.containers import read_container
from profiler.asterisk.objects import object_behind
from profiler.model.observed_offcpu import SeenLock
from profiler.model.waits import LockKind, WaitKind
from profiler.process.target import TargetProcess
from profiler.waits.glibc_locks import (
    MUTEX_BYTES,
    RWLOCK_BYTES,
    decode_mutex,
    decode_rwlock,
    rwlock_places,
)
from profiler.wire.lookups import Kind

MAX_LOCKS = 1_000
_OF_RWLOCKS = (WaitKind.READ_LOCK, WaitKind.WRITE_LOCK)


class SeenLocks:
    """The locks of one target that were read so far."""

    def __init__(self, target: TargetProcess, most: int = MAX_LOCKS) -> None:
        self._target = target
        self._most = most
        self._found: dict[LockKind, dict[int, SeenLock | None]] = {kind: {} for kind in LockKind}

    def all(self) -> tuple[SeenLock, ...]:
        """Return all of them."""
        locks = (lock for found in self._found.values() for lock in found.values())
        return tuple(lock for lock in locks if lock is not None)

    def note(self, kind: LockKind, futexes: Iterable[int]) -> None:
        """Read those that are new, as far as there is room: memory shows whether they are locks."""
        found = self._found[kind]
        for futex in futexes:
            if futex not in found and len(found) < self._most:
                is_mutex = kind is LockKind.MUTEX
                found[futex] = self._mutex(futex) if is_mutex else self._rwlock(futex)

    def owner(self, mutex: int) -> int | None:
        """Return who has a mutex now, as the target itself calls that thread."""
        data = self._target.memory.read(mutex, MUTEX_BYTES)
        state = None if data is None else decode_mutex(data)
        return None if state is None else state.owner

    def _mutex(self, futex: int) -> SeenLock | None:
        data = self._target.memory.read(futex, MUTEX_BYTES)
        if data is None or decode_mutex(data) is None:
            return None
        return self._described(futex, futex, LockKind.MUTEX)

    def _rwlock(self, futex: int) -> SeenLock | None:
        places = (rwlock_places(kind, futex, ()) for kind in _OF_RWLOCKS)
        for place in dict.fromkeys(chain.from_iterable(places)):
            data = self._target.memory.read(place, RWLOCK_BYTES)
            if data is not None and decode_rwlock(data) is not None:
                return self._described(futex, place, LockKind.RWLOCK)
        return None

    def _described(self, futex: int, address: int, kind: LockKind) -> SeenLock:
        memory, is_code = self._target.memory, self._target.is_code
        lock = SeenLock(futex, address, kind.value)
        behind = object_behind(memory, address, kind, is_code)
        if behind is None:
            return lock
        lock = replace(lock, object=behind.address, destructor=behind.destructor)
        container = read_container(memory, behind.address, is_code)
        if container is None:
            return lock
        is_tree = container.layout.kind is Kind.RBTREE
        return replace(
            lock,
            container="rbtree" if is_tree else "list" if container.buckets == 1 else "hash",
            comparator=container.comparator,
            hash_function=container.hash_function,
            sort_function=container.sort_function,
            elements=container.elements,
            buckets=container.buckets,
        )
