"""What a thread waits for that waits on a futex: by the functions that it is in. Pure.

A futex is a word of memory. The C library makes mutexes, rwlocks, conditions and more of it, and
its exported functions have names even when it is stripped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from profiler.model.waits import WaitKind

# include/uapi/linux/futex.h
_COMMAND_MASK = 0x7F
_LOCK_PI = (6, 13)  # FUTEX_LOCK_PI, FUTEX_LOCK_PI2

# Functions of the C library, exported or inside of it, and of Asterisk: main/lock.c.
_KINDS = {
    re.compile(r"(ast_)?pthread_mutex_\w*lock"): WaitKind.MUTEX,
    re.compile(r"((ast|pthread)_cond|cnd)_\w*wait"): WaitKind.CONDITION,
    re.compile(r"(ast|pthread)_rwlock_\w*rdlock"): WaitKind.READ_LOCK,
    re.compile(r"(ast|pthread)_rwlock_\w*wrlock"): WaitKind.WRITE_LOCK,
    re.compile(r"(new_)?sem_\w*wait"): WaitKind.SEMAPHORE,
    re.compile(r"(pthread|thrd)_\w*join"): WaitKind.JOIN,
}
# Asterisk's own functions that hand on a lock, without leading underscores (main/lock.c, astobj2.c,
# heap.c): who calls the outermost of them wants it.
_WRAPPERS = """ast_pthread_mutex_lock ast_rwlock_rdlock ast_rwlock_wrlock ast_rwlock_timedrdlock
    ast_rwlock_timedwrlock ao2_lock ast_heap_rdlock ast_heap_wrlock"""
LOCK_WRAPPERS = frozenset(_WRAPPERS.split())


# What the kernel calls again by RESTART, by the function of the C library.
_RESTARTED = {
    **dict.fromkeys(("poll", "ppoll"), WaitKind.POLL),
    **dict.fromkeys(("nanosleep", "clock_nanosleep", "usleep", "sleep"), WaitKind.SLEEP),
}


def plain_name(name: str) -> str:
    """Return a function's name without its version, and without what marks it as internal."""
    return name.partition("@")[0].lstrip("_")


def kind_of(names: Iterable[str], operation: int | None) -> WaitKind:
    """Return what a futex belongs to.

    `names` are the functions on the stack, the innermost first: those of the C library, and the
    first one of another file. A function that a wait begins with may have no name, and its caller
    has one.
    """
    if operation is not None and operation & _COMMAND_MASK in _LOCK_PI:
        return WaitKind.MUTEX
    for name in map(plain_name, names):
        for pattern, kind in _KINDS.items():
            if pattern.match(name):
                return kind
    return WaitKind.FUTEX


def restarted_kind(names: Iterable[str]) -> WaitKind | None:
    """Return what a system call waits for that a signal has interrupted, None if on a futex."""
    kinds = (_RESTARTED.get(plain_name(name)) for name in names)
    return next((kind for kind in kinds if kind is not None), None)
