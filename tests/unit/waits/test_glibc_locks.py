"""Locks of glibc, as bytes; test_reader.py looks at those of a real one."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.waits import WaitKind
from profiler.waits.glibc_locks import (
    MUTEX_BYTES,
    RWLOCK_BYTES,
    MutexState,
    RwlockState,
    decode_mutex,
    decode_rwlock,
    rwlock_places,
)

WAITERS = 1 << 31  # FUTEX_WAITERS


def mutex(lock: int = 2, count: int = 0, owner: int = 77, users: int = 1, kind: int = 0) -> bytes:
    return struct.pack("<IIiIi", lock, count, owner, users, kind)


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (mutex(), MutexState(77, None, (), True)),
        (mutex(lock=1), MutexState(77, None, (), False)),
        (mutex(lock=0, owner=0, users=0), MutexState(None, None, (), False)),
        (mutex(count=3, kind=1), MutexState(77, 3, ("recursive",), True)),
        (mutex(kind=2), MutexState(77, None, ("errorcheck",), True)),
        (mutex(kind=3), MutexState(77, None, ("adaptive",), True)),
        (mutex(kind=512), MutexState(77, None, (), True)),  # PTHREAD_MUTEX_ELISION_NP's bits
        # What the kernel knows of it is newer than what its owner has written.
        (
            mutex(lock=88 | WAITERS, owner=0, kind=32),
            MutexState(88, None, ("priority inheritance",), True),
        ),
        (
            mutex(lock=88 | WAITERS, count=1, kind=17),
            MutexState(88, 1, ("recursive", "robust"), True),
        ),
        (mutex(lock=7, kind=64), MutexState(77, None, ("priority ceiling",), True)),
    ],
)
def test_a_mutex(data: bytes, state: MutexState) -> None:
    assert decode_mutex(data) == state


@pytest.mark.parametrize(
    "data",
    [mutex(lock=3), mutex(kind=1024), mutex(kind=-1), mutex(owner=-5), mutex(users=1 << 24)],
)
def test_what_is_no_mutex(data: bytes) -> None:
    assert decode_mutex(data) is None


def rwlock(
    readers: int = 0,
    writers: int = 0,
    phase: int = 0,
    writers_futex: int = 0,
    pads: tuple[int, int] = (0, 0),
    writer: int = 0,
    shared: int = 0,
    flags: int = 0,
) -> bytes:
    numbers = (readers, writers, phase, writers_futex, *pads, writer, shared)
    return struct.pack("<IIIIIIii16xI", *numbers, flags)


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (rwlock(), RwlockState(None, 0)),
        (rwlock(readers=3 << 3), RwlockState(None, 3)),
        (rwlock(readers=3 << 3 | 2, writers_futex=3, phase=2), RwlockState(None, 3)),
        (rwlock(readers=3, phase=1, writer=77), RwlockState(77, 0)),
        # Two that wait to read are no readers.
        (rwlock(readers=2 << 3 | 3, phase=3, writer=77), RwlockState(77, 0)),
        (rwlock(readers=1 << 3 | 6, flags=2), RwlockState(None, 1)),
    ],
)
def test_a_rwlock(data: bytes, state: RwlockState) -> None:
    assert decode_rwlock(data) == state


@pytest.mark.parametrize(
    "data",
    [
        rwlock(phase=4),
        rwlock(writers_futex=4),
        rwlock(pads=(1, 0)),
        rwlock(pads=(0, 1)),
        rwlock(shared=2),
        rwlock(flags=4),
        rwlock(writer=-1),
        rwlock(writers=1 << 24),
        rwlock(readers=1 << 31),
    ],
)
def test_what_is_no_rwlock(data: bytes) -> None:
    assert decode_rwlock(data) is None


def test_where_a_rwlock_may_be() -> None:
    assert rwlock_places(WaitKind.READ_LOCK, 1000, ()) == (992, 1000)
    assert rwlock_places(WaitKind.WRITE_LOCK, 1000, ()) == (992,)
    assert rwlock_places(WaitKind.WRITE_LOCK, 1004, ()) == (992,)  # as locks are aligned


def test_registers_say_where_it_is() -> None:
    assert rwlock_places(WaitKind.READ_LOCK, 1000, (5, 1000, None)) == (1000, 992)


@given(st.binary(min_size=MUTEX_BYTES, max_size=MUTEX_BYTES))
def test_any_bytes_are_a_mutex_or_none(data: bytes) -> None:
    found = decode_mutex(data)
    assert found is None or found.owner is None or found.owner > 0


@given(st.binary(min_size=RWLOCK_BYTES, max_size=RWLOCK_BYTES))
def test_any_bytes_are_a_rwlock_or_none(data: bytes) -> None:
    found = decode_rwlock(data)
    assert found is None or found.readers >= 0
