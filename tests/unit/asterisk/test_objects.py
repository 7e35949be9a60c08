"""ao2 objects behind their locks, in memory that is made here."""

from __future__ import annotations

import struct

import pytest

from profiler.asterisk.objects import ObjectBehindLock, object_behind
from profiler.model.waits import LockKind
from tests.unit.asterisk.test_containers import Memory

LOCK = 0x7F00_0000_1000
DESTRUCTOR = 0x5555_0000_1000
MAGIC = 0xA70B_1230
MUTEX_BYTES, RWLOCK_BYTES, TRACKING_BYTES, COUNT_BYTES = 40, 56, 16, 8


def is_code(address: int) -> bool:
    return address == DESTRUCTOR


def memory(
    lock_bytes: int,
    options: int,
    destructor: int = DESTRUCTOR,
    references: int = 3,
    magic: int = MAGIC,
    is_debug: bool = False,
) -> Memory:
    """Lay out a lock of that size, and the private data of an object behind it."""
    private = struct.pack("<QQ", destructor, 0) + bytes(8 * is_debug)
    private += struct.pack("<iI", references, magic | options)
    return Memory({LOCK: bytes(lock_bytes) + private + bytes(256)})


@pytest.mark.parametrize("tracking", [0, TRACKING_BYTES])
@pytest.mark.parametrize("is_debug", [False, True])
def test_the_object_of_a_mutex(tracking: int, is_debug: bool) -> None:
    size = MUTEX_BYTES + tracking
    found = object_behind(memory(size, 0, is_debug=is_debug), LOCK, LockKind.MUTEX, is_code)
    address = LOCK + size + 24 + 8 * is_debug
    assert found == ObjectBehindLock(address, DESTRUCTOR, 3)


@pytest.mark.parametrize("tracking", [0, TRACKING_BYTES])
@pytest.mark.parametrize("is_debug", [False, True])
def test_the_object_of_a_rwlock(tracking: int, is_debug: bool) -> None:
    size = RWLOCK_BYTES + tracking + COUNT_BYTES
    found = object_behind(memory(size, 1, is_debug=is_debug), LOCK, LockKind.RWLOCK, is_code)
    address = LOCK + size + 24 + 8 * is_debug
    assert found == ObjectBehindLock(address, DESTRUCTOR, 3)


def test_an_object_without_a_destructor() -> None:
    found = object_behind(memory(56, 0, destructor=0), LOCK, LockKind.MUTEX, is_code)
    assert found is not None and found.destructor is None


@pytest.mark.parametrize("options", [4, 8, 12])
def test_other_options_of_an_object_do_not_matter(options: int) -> None:
    assert object_behind(memory(56, options), LOCK, LockKind.MUTEX, is_code)


@pytest.mark.parametrize(
    "behind",
    [
        memory(56, 0, magic=0xA70B_1330),
        memory(56, 0, references=0),
        memory(56, 0, destructor=0x1234),
        memory(56, 1),  # it has a rwlock
        memory(56, 2),  # it has no lock
        memory(56, 3),  # its lock is elsewhere
        memory(96, 0),  # further away than a lock is
        Memory({}),
    ],
)
def test_a_lock_that_belongs_to_no_object(behind: Memory) -> None:
    assert object_behind(behind, LOCK, LockKind.MUTEX, is_code) is None
