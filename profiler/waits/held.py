"""Where a thread took a lock that it has: a guess by its stack and the code of its functions."""

from __future__ import annotations

import struct

from profiler.model.waits import Lock
from profiler.names.session import NamingSession
from profiler.process.memory import TargetMemory
from profiler.unwind.walk import WalkedStack

_WORD_BYTES = 8
_MOST_BYTES = 1 << 18
# Functions that take a lock and return with it, without leading underscores, and which of their
# arguments is the lock or its object: pthread.h, and Asterisk's lock.h, astobj2.h and heap.h.
_ARGUMENTS = {
    0: """pthread_mutex_lock pthread_mutex_trylock pthread_mutex_timedlock pthread_rwlock_rdlock
        pthread_rwlock_wrlock ao2_lock ao2_trylock ast_heap_rdlock ast_heap_wrlock""",
    3: """ast_rwlock_rdlock ast_rwlock_wrlock ast_rwlock_tryrdlock ast_rwlock_trywrlock
        ast_rwlock_timedrdlock ast_rwlock_timedwrlock""",
    4: "ast_pthread_mutex_lock ast_pthread_mutex_trylock",
}
_TAKERS = {name: position for position, names in _ARGUMENTS.items() for name in names.split()}


def taking_frame(
    memory: TargetMemory, session: NamingSession, stack: WalkedStack, lock: Lock
) -> int | None:
    """Return which frame seems to have taken a lock; None: none does.

    The innermost one whose function called something that takes this very lock, before it made the
    call that it is in. If there is none, the innermost one that called something that takes any
    lock, and in or below which the stack has the address of this one, or of its object.
    """
    first = _first_with(memory, stack, lock)
    guess = None
    for at, address in enumerate(stack.frames):
        found = session.calls_at(address)
        for call in () if found is None else found[0].calls_before(found[1]):
            position = _TAKERS.get(call.callee.lstrip("_"))
            if found is None or position is None:
                continue
            given = found[0].argument(call, position)
            if given is not None and given + address - found[1] == lock.address:
                return at
            if guess is None and given is None and first is not None and at >= first:
                guess = at
    return guess


def _first_with(memory: TargetMemory, stack: WalkedStack, lock: Lock) -> int | None:
    """Return the innermost frame that has the address of a lock, or of its object."""
    if not stack.tops:
        return None
    start = stack.tops[0]
    size = min(max(stack.tops[-1] - start, 0), _MOST_BYTES) // _WORD_BYTES * _WORD_BYTES
    data = memory.read(start, size) if size else None
    wanted = {lock.address, *(() if lock.object is None else (lock.object.address,))}
    for index, (word,) in enumerate(struct.iter_unpack("<Q", data or b"")):
        if word in wanted:
            place = start + index * _WORD_BYTES
            return max(at for at, top in enumerate(stack.tops) if top <= place)
    return None
