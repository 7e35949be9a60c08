"""Locks and what they belong to; test_reader.py finds those of a real program."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.model.waits import Lock, LockedContainer, LockedObject, LockKind, WaitKind
from profiler.process.threads.present_threads import RBX, PresentThread
from profiler.waits.glibc_locks import MutexState, RwlockState
from profiler.waits.locks import FoundLock, LockNames, find_lock
from profiler.waits.settled import WINDOW_BEFORE, WINDOW_BYTES, Futex
from tests.unit.asterisk.test_containers import Memory

FUTEX = 0x7F00_0000_1000
DESTRUCTOR, COMPARE, HASH, METHOD = range(0x5555_0000_1000, 0x5555_0000_1040, 0x10)
TABLE = 0x5555_0000_2000
MAGIC = 0xA70B_1230


def is_code(address: int) -> bool:
    return address in (DESTRUCTOR, COMPARE, HASH, METHOD)


def names(memory: Memory) -> LockNames:
    target: Any = SimpleNamespace(memory=memory, is_code=is_code)
    variables = {FUTEX: "asterisk: lock"}
    return LockNames(target, lambda address: f"f{address & 0xFF:x}", variables.get)


def described(memory: Memory, state: MutexState | RwlockState, outer: dict[int, int]) -> Lock:
    """Return a lock whose state stays what it is."""
    return names(memory).described(FoundLock(FUTEX, state, state), outer)


def with_object(user: bytes = b"") -> Memory:
    """Lay out a mutex with an ao2 object behind it, and a container's methods."""
    private = struct.pack("<QQiI", DESTRUCTOR, 0, 3, MAGIC)
    methods = struct.pack("<8Q", METHOD, *[0] * 7)
    return Memory({FUTEX: bytes(56) + private + user + bytes(256), TABLE: methods})


def test_a_mutex() -> None:
    state = MutexState(7, 2, ("recursive",), True)
    lock = described(Memory({}), state, {7: 107})
    assert (lock.kind, lock.owner, lock.owner_is_gone) == (LockKind.MUTEX, 107, False)
    assert (lock.recursion, lock.readers, lock.attributes) == (2, None, ("recursive",))
    assert (lock.place, lock.object) == ("asterisk: lock", None)


def test_an_owner_that_has_ended() -> None:
    lock = described(Memory({}), MutexState(7, None, (), True), {8: 108})
    assert (lock.owner, lock.owner_is_gone) == (7, True)


def test_a_lock_that_nobody_has() -> None:
    lock = described(Memory({}), RwlockState(None, 3), {8: 108})
    assert (lock.kind, lock.owner, lock.owner_is_gone) == (LockKind.RWLOCK, None, False)
    assert (lock.recursion, lock.readers) == (None, 3)


def test_the_object_of_a_lock() -> None:
    lock = described(with_object(), MutexState(7, 1, (), True), {})
    assert lock.object == LockedObject(FUTEX + 80, "f0", 3)


@pytest.mark.parametrize(("buckets", "kind"), [(563, "hash"), (1, "list")])
def test_a_container(buckets: int, kind: str) -> None:
    user = struct.pack("<QQQIiQQi", TABLE, 0, COMPARE, 0, 5, 0, HASH, buckets)
    lock = described(with_object(user), MutexState(7, 1, (), True), {})
    assert lock.object is not None
    assert lock.object.container == LockedContainer(kind, "f10", "f20", None, 5, buckets)


def find(
    kind: WaitKind, words: dict[int, int], rbx: int = 0, later: bytes | None = None
) -> FoundLock | None:
    """Find the lock of which FUTEX is a word; `words` by offset from FUTEX."""
    window = bytearray(WINDOW_BYTES)
    for at, value in words.items():
        struct.pack_into("<I", window, WINDOW_BEFORE + at, value)
    registers: list[int | None] = [None] * 16
    registers[RBX] = rbx
    thread = PresentThread(1, 0, tuple(registers), 0, False)
    return find_lock(kind, Futex(FUTEX, 2, 128, bytes(window), later), thread)


def test_a_futex_that_is_a_mutex() -> None:
    found = find(WaitKind.MUTEX, {0: 2, 8: 77, 12: 1})
    assert found is not None and (found.address, found.owner) == (FUTEX, 77)
    assert find(WaitKind.MUTEX, {0: 9}) is None


def test_a_lock_that_another_thread_has_when_all_is_read_changes_hands() -> None:
    window = bytearray(WINDOW_BYTES)
    struct.pack_into("<IIiI", window, WINDOW_BEFORE, 2, 0, 77, 1)
    for later, changes in ((bytes(window), False), (bytes(WINDOW_BYTES), True), (None, True)):
        found = find(WaitKind.MUTEX, {0: 2, 8: 77, 12: 1}, later=later)
        assert found is not None and found.changes_hands is changes
        lock = names(Memory({})).described(found, {})
        assert lock.changes_hands is changes
        assert (lock.owner, lock.owner_is_gone) == ((None, False) if changes else (77, True))
        assert lock.seen_owners == ()
        assert names(Memory({})).described(found, {77: 107}).seen_owners == (107,)


def test_a_futex_in_a_rwlock() -> None:
    found = find(WaitKind.WRITE_LOCK, {-8: 3, 0: 1, 4: 3, 16: 77})
    assert found is not None and (found.address, found.owner) == (FUTEX - 8, 77)
    found = find(WaitKind.READ_LOCK, {-8: 11, 0: 3, 16: 77})
    assert found is not None and (found.address, found.owner) == (FUTEX - 8, 77)
    assert find(WaitKind.READ_LOCK, {0: 1 << 31}) is None


def test_a_register_decides_where_several_places_fit() -> None:
    for rbx, address in ((0, FUTEX - 8), (FUTEX, FUTEX), (FUTEX - 8, FUTEX - 8)):
        found = find(WaitKind.READ_LOCK, {}, rbx)
        assert found is not None and found.address == address


@pytest.mark.parametrize("kind", [WaitKind.CONDITION, WaitKind.FUTEX, WaitKind.JOIN])
def test_other_futexes_are_no_locks(kind: WaitKind) -> None:
    assert find(kind, {0: 2, 8: 77, 12: 1}) is None
