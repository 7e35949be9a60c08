"""Locks read in memory; tests/bpf/test_off_cpu.py reads those of a real program."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from profiler.model.observed_offcpu import SeenLock
from profiler.model.waits import LockKind
from profiler.offcpu.locks import SeenLocks
from tests.unit.asterisk.test_containers import Memory
from tests.unit.waits.test_locks import DESTRUCTOR, FUTEX, is_code, with_object


def locks(memory: Memory, most: int = 10) -> SeenLocks:
    target: Any = SimpleNamespace(memory=memory, is_code=is_code)
    return SeenLocks(target, most)


def test_a_mutex_and_its_object() -> None:
    seen = locks(with_object())
    seen.note(LockKind.MUTEX, (FUTEX,))
    (lock,) = seen.all()
    assert (lock.address, lock.futex, lock.kind) == (FUTEX, FUTEX, "mutex")
    assert (lock.object, lock.destructor, lock.container) == (FUTEX + 80, DESTRUCTOR, None)


def test_a_rwlock_is_found_by_the_futexes_in_it() -> None:
    seen = locks(Memory({FUTEX: bytes(200)}))
    seen.note(LockKind.RWLOCK, (FUTEX + 8,))
    assert seen.all() == (SeenLock(FUTEX + 8, FUTEX, "rwlock"),)


def test_what_cannot_be_read_is_no_lock_and_is_tried_once() -> None:
    memory = Memory({})
    seen = locks(memory)
    seen.note(LockKind.MUTEX, (FUTEX,))
    memory.pieces[FUTEX] = bytes(200)  # too late
    seen.note(LockKind.MUTEX, (FUTEX,))
    assert seen.all() == ()
    assert locks(Memory({})).owner(FUTEX) is None


def test_there_is_room_for_so_many() -> None:
    seen = locks(Memory({FUTEX: bytes(400)}), most=2)
    seen.note(LockKind.MUTEX, range(FUTEX, FUTEX + 200, 40))
    assert len(seen.all()) == 2
