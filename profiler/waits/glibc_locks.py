"""Locks of glibc as they lie in memory. Pure: takes bytes.

Layouts are part of its binary interface, the same from 2.25 to 2.43: struct __pthread_mutex_s and
struct __pthread_rwlock_arch_t (sysdeps/x86/nptl/bits/struct_mutex.h and struct_rwlock.h), struct
__pthread_cond_s (sysdeps/nptl/bits/thread-shared-types.h), struct pthread (nptl/descr.h).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from profiler.model.waits import WaitKind

_MUTEX = struct.Struct("<IIiIi")  # __lock, __count, __owner, __nusers, __kind
# __readers, __writers, __wrphase_futex, __writers_futex, two pads, __cur_writer, __shared,
# __rwelision and pads, __flags
_RWLOCK = struct.Struct("<IIIIIIii16xI")
MUTEX_BYTES, RWLOCK_BYTES = _MUTEX.size, _RWLOCK.size
# Of struct pthread: it begins with its own address at 16 (tcbhead_t), and has the tid at 720.
DESCRIPTOR_SELF, DESCRIPTOR_TID = 16, 720

# enum of nptl/pthreadP.h, PTHREAD_MUTEX_...
_RECURSIVE, _TYPE_MASK = 1, 3
_TYPES = {1: "recursive", 2: "errorcheck", 3: "adaptive"}
_ROBUST, _INHERIT, _PROTECT, _KINDS_END = 16, 32, 64, 1024
_FLAGS = {_ROBUST: "robust", _INHERIT: "priority inheritance", _PROTECT: "priority ceiling"}
_TID_MASK = 0x3FFFFFFF  # FUTEX_TID_MASK, include/uapi/linux/futex.h
_USERS_END = 1 << 24  # more threads than a process has
_CONTENDED = 2  # of __lock: taken, and somebody may wait

# Of __readers: PTHREAD_RWLOCK_WRPHASE, _WRLOCKED, _READER_SHIFT (nptl/pthreadP.h).
_WRITE_PHASE, _READER_SHIFT = 1, 3
_FUTEX_END = 4  # __wrphase_futex and __writers_futex: two bits
_FLAGS_END = 4  # PTHREAD_RWLOCK_..._NP
# Where in a rwlock threads wait (nptl/pthread_rwlock_common.c): __wrphase_futex and __readers to
# read, __wrphase_futex and __writers_futex to write.
_ALIGNMENT = 8  # of pthread_mutex_t and pthread_rwlock_t, which hold a long
_RWLOCK_FUTEXES = {WaitKind.READ_LOCK: (8, 0), WaitKind.WRITE_LOCK: (8, 12)}


@dataclass(frozen=True, slots=True)
class MutexState:
    """A pthread_mutex_t. `owner`: tid as the process itself sees it; None: nobody."""

    owner: int | None
    recursion: int | None  # None: it is not recursive
    attributes: tuple[str, ...]
    is_contended: bool


@dataclass(frozen=True, slots=True)
class RwlockState:
    """A pthread_rwlock_t. `writer`: tid as the process itself sees it; None: nobody writes."""

    writer: int | None
    readers: int  # that have it


def decode_mutex(data: bytes) -> MutexState | None:
    """Return the mutex in MUTEX_BYTES, None where there is none."""
    lock, count, owner, users, kind = _MUTEX.unpack(data)
    if not 0 <= kind < _KINDS_END or users >= _USERS_END or owner < 0:
        return None
    is_in_word = bool(kind & (_ROBUST | _INHERIT))  # the kernel reads the owner there
    if not is_in_word and not kind & _PROTECT and lock > _CONTENDED:
        return None
    found = lock & _TID_MASK if is_in_word else owner
    type_of = kind & _TYPE_MASK
    names = (_TYPES.get(type_of), *(name for flag, name in _FLAGS.items() if kind & flag))
    return MutexState(
        owner=found or None,
        recursion=count if type_of == _RECURSIVE else None,
        attributes=tuple(name for name in names if name is not None),
        is_contended=lock > 1,
    )


def decode_rwlock(data: bytes) -> RwlockState | None:
    """Return the rwlock in RWLOCK_BYTES, None where there is none."""
    readers, writers, phase, writers_futex, pad, other_pad, writer, shared, flags = _RWLOCK.unpack(
        data
    )
    is_one = (
        phase < _FUTEX_END
        and writers_futex < _FUTEX_END
        and not pad
        and not other_pad
        and shared in (0, 1)
        and flags < _FLAGS_END
        and writer >= 0
        and writers & 0x7FFFFFFF < _USERS_END
        and readers >> _READER_SHIFT < _USERS_END
    )
    if not is_one:
        return None
    # While somebody writes, those that are counted wait.
    count = 0 if readers & _WRITE_PHASE else readers >> _READER_SHIFT
    return RwlockState(writer or None, count)


def rwlock_places(kind: WaitKind, futex: int, hints: Iterable[int | None]) -> tuple[int, ...]:
    """Return where the rwlock may be that a thread waits for, the likeliest first.

    `hints`: registers of the C library's function, which has to find the lock again.
    """
    known = set(hints)
    places = [futex - offset for offset in _RWLOCK_FUTEXES[kind]]
    places = [place for place in places if place % _ALIGNMENT == 0]
    return tuple(sorted(places, key=lambda place: place not in known))
