"""Why threads did not run, by the system call that they were in, and its callers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Protocol

from profiler.model.offcpu import (
    CHILD,
    CONDITION,
    DISK,
    FUTEX,
    JOIN,
    LOCK,
    NETWORK,
    OTHER,
    PIPE,
    SLEEP,
)
from profiler.model.waits import WaitKind
from profiler.waits.futexes import kind_of, restarted_kind
from profiler.waits.system_calls import FUTEX as FUTEX_CALL
from profiler.waits.system_calls import FUTEX_WAIT, RESTART, system_call

_KINDS = {
    WaitKind.MUTEX: LOCK,
    WaitKind.READ_LOCK: LOCK,
    WaitKind.WRITE_LOCK: LOCK,
    WaitKind.CONDITION: CONDITION,
    WaitKind.SEMAPHORE: CONDITION,
    WaitKind.JOIN: JOIN,
    WaitKind.FUTEX: FUTEX,
    WaitKind.POLL: NETWORK,
    WaitKind.SLEEP: SLEEP,
    WaitKind.CHILD: CHILD,
    WaitKind.FILE_LOCK: DISK,
}
_TRANSFERS = (WaitKind.READ, WaitKind.WRITE)
# Of the calls that read and write, those that only sockets have, and those that only files have.
_SOCKET_CALLS = frozenset((42, 43, 44, 45, 46, 47, 288, 299, 307))
_FILE_CALLS = frozenset((17, 18, 74, 75, 295, 296, 327))
_OPENING = frozenset((2, 257))


class Functions(Protocol):
    """What is known of the functions that a thread is in."""

    def leading_names(self, addresses: Sequence[int]) -> list[str]:
        """Return those of the C library, leaf first, and their caller."""

    def called(self, addresses: Sequence[int]) -> str | None:
        """Return by which name the C library was called."""


class Likeness(Enum):
    """Whether a futex is a mutex, by what else is known of it."""

    NONE = 0
    VALUE = 1  # its waiter expects the value of a mutex, as some that wait for a condition do
    SEEN = 2  # and it was seen to be one


def futex_kind(
    functions: Functions, stack: Sequence[int], operation: int, likeness: Likeness
) -> WaitKind:
    """Return what a thread waits for on a futex."""
    names = functions.leading_names(stack)
    kind = kind_of(names, operation)
    if kind is WaitKind.FUTEX and names:
        kind = kind_of((functions.called(stack) or "",), None)
    if kind is WaitKind.FUTEX and likeness is not Likeness.NONE:
        return WaitKind.MUTEX
    if kind is WaitKind.CONDITION and likeness is Likeness.SEEN:
        return WaitKind.MUTEX  # which it takes again when it ends
    return kind


def wait_kind(
    functions: Functions,
    stack: Sequence[int],
    syscall: int | None,
    operation: int,
    likeness: Likeness,
) -> WaitKind:
    """Return what a thread waits for; `stack` may be empty where it is not known."""
    if syscall is None:
        return WaitKind.OTHER
    if syscall in (FUTEX_CALL, FUTEX_WAIT):
        return futex_kind(functions, stack, operation, likeness)
    if syscall == RESTART:
        return restarted_kind(functions.leading_names(stack)) or WaitKind.OTHER
    return system_call(syscall, (None, operation, None, None, None, None)).kind


def shown_kind(
    kind: WaitKind, syscall: int | None, descriptor: int, descriptors: Mapping[int, str | None]
) -> str:
    """Return one of KINDS, for what a thread waits for and the descriptor that it waits on."""
    if kind in _TRANSFERS:
        if syscall in _SOCKET_CALLS:
            return NETWORK
        if syscall in _FILE_CALLS:
            return DISK
        name = descriptors.get(descriptor)
        if name is None:
            return OTHER
        return {"socket": NETWORK, "pipe": PIPE}.get(name, DISK if name[:1] == "/" else OTHER)
    if syscall in _OPENING:
        return DISK
    return _KINDS.get(kind, OTHER)
