"""Which ao2 object a lock belongs to: Asterisk allocates the lock in front of the object.

An object's lock, private data and user data follow each other: struct astobj2_lock and struct
astobj2_rwlock in main/astobj2.c, Asterisk 14 to 22. Builds differ in whether locks have room for
what DEBUG_THREADS tracks (struct ast_mutex_info, include/asterisk/lock.h), and in AO2_DEBUG.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from profiler.asterisk.abi import MAGIC
from profiler.model.waits import LockKind
from profiler.process.memory import TargetMemory

# sizeof(pthread_mutex_t) and (pthread_rwlock_t): glibc, sysdeps/x86/nptl/bits/pthreadtypes-arch.h.
_LOCK_BYTES = {LockKind.MUTEX: 40, LockKind.RWLOCK: 56}
_TRACKING_BYTES = (16, 0)
_COUNT_BYTES = {LockKind.MUTEX: 0, LockKind.RWLOCK: 8}  # num_lockers of a rwlock
_PRIVATE_BYTES = (24, 32)  # struct __priv_data; with AO2_DEBUG
# enum ao2_alloc_opts, under AO2_ALLOC_OPT_LOCK_MASK
_OPTIONS = {LockKind.MUTEX: 0, LockKind.RWLOCK: 1}
_OPTIONS_MASK = 3
_DESTRUCTOR = struct.Struct("<Q")
_END = struct.Struct("<iI")  # ref_counter; 28 bits of magic and 4 of options

IsCode = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class ObjectBehindLock:
    """An ao2 object. `address` is that of its user data, as Asterisk hands it around."""

    address: int
    destructor: int | None
    references: int


def _layouts(kind: LockKind) -> list[tuple[int, int]]:
    """Return, for each build, how far user data is behind the lock, and private data before it."""
    locks = [_LOCK_BYTES[kind] + tracking + _COUNT_BYTES[kind] for tracking in _TRACKING_BYTES]
    return [(lock + private, private) for private in _PRIVATE_BYTES for lock in locks]


_LAYOUTS = {kind: _layouts(kind) for kind in LockKind}


def object_behind(
    memory: TargetMemory, lock: int, kind: LockKind, is_code: IsCode
) -> ObjectBehindLock | None:
    """Return the object that a lock belongs to, None where it belongs to none."""
    for distance, private in _LAYOUTS[kind]:
        data = memory.read(lock + distance - private, private)
        if data is None:
            continue
        (destructor,) = _DESTRUCTOR.unpack_from(data)
        references, bits = _END.unpack_from(data, private - _END.size)
        fits = bits >> 4 == MAGIC and bits & _OPTIONS_MASK == _OPTIONS[kind]
        if fits and references > 0 and (not destructor or is_code(destructor)):
            return ObjectBehindLock(lock + distance, destructor or None, references)
    return None
