"""What a thread waits for, by the system call that it is in. Pure.

Numbers: arch/x86/entry/syscalls/syscall_64.tbl of Linux 6.18. Arguments by number, from 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from profiler.model.waits import WaitKind

Arguments = Sequence[int | None]
FUTEX, RESTART, FUTEX_WAIT = 202, 219, 455
# What waiters for a mutex expect in it: taken, and somebody waits (glibc, nptl/lowlevellock.c).
MUTEX_VALUE = 2
_LOCKS_OF_FCNTL = (7, 38)  # F_SETLKW, F_OFD_SETLKW: include/uapi/asm-generic/fcntl.h, linux/fcntl.h


@dataclass(frozen=True, slots=True)
class SystemCall:
    """A system call that waits, and which of its arguments say for what and for how long.

    `timeout`: a pointer to it, or with `is_number` milliseconds; a negative number means none.
    """

    name: str
    kind: WaitKind
    descriptor: int | None = None
    timeout: int | None = None
    is_number: bool = False
    process: int | None = None


def _many(
    kind: WaitKind,
    names: dict[int, str],
    descriptor: int | None = None,
    timeout: int | None = None,
    is_number: bool = False,
    process: int | None = None,
) -> dict[int, SystemCall]:
    return {
        number: SystemCall(name, kind, descriptor, timeout, is_number, process)
        for number, name in names.items()
    }


_READS = {0: "read", 17: "pread64", 19: "readv", 43: "accept", 45: "recvfrom", 47: "recvmsg"}
_READS |= {288: "accept4", 295: "preadv", 299: "recvmmsg", 327: "preadv2"}
_WRITES = {1: "write", 18: "pwrite64", 20: "writev", 40: "sendfile", 42: "connect", 44: "sendto"}
_WRITES |= {46: "sendmsg", 74: "fsync", 75: "fdatasync", 296: "pwritev", 307: "sendmmsg"}
SYSTEM_CALLS: dict[int, SystemCall] = {
    **_many(WaitKind.READ, _READS, descriptor=0),
    **_many(WaitKind.WRITE, _WRITES, descriptor=0),
    **_many(WaitKind.POLL, {7: "poll"}, timeout=2, is_number=True),
    **_many(WaitKind.POLL, {23: "select", 270: "pselect6"}, timeout=4),
    **_many(WaitKind.POLL, {271: "ppoll"}, timeout=2),
    **_many(WaitKind.POLL, {232: "epoll_wait", 281: "epoll_pwait"}, timeout=3, is_number=True),
    **_many(WaitKind.POLL, {441: "epoll_pwait2"}, timeout=3),
    **_many(WaitKind.POLL, {208: "io_getevents"}, timeout=4),
    **_many(WaitKind.POLL, {426: "io_uring_enter"}, descriptor=0),
    **_many(WaitKind.SLEEP, {35: "nanosleep"}, timeout=0),
    **_many(WaitKind.SLEEP, {230: "clock_nanosleep"}, timeout=2),
    **_many(WaitKind.CHILD, {61: "wait4"}, process=0),
    **_many(WaitKind.CHILD, {247: "waitid"}, process=1),
    **_many(WaitKind.SIGNAL, {34: "pause", 130: "rt_sigsuspend"}),
    **_many(WaitKind.SIGNAL, {128: "rt_sigtimedwait"}, timeout=2),
    **_many(WaitKind.SEMAPHORE, {65: "semop"}),
    **_many(WaitKind.SEMAPHORE, {220: "semtimedop"}, timeout=3),
    **_many(WaitKind.FILE_LOCK, {73: "flock"}, descriptor=0),
    **_many(WaitKind.FUTEX, {FUTEX: "futex"}, timeout=3),
    **_many(WaitKind.FUTEX, {FUTEX_WAIT: "futex_wait"}, timeout=4),
}
_FCNTL, _OPEN_CALLS = 72, {2: "open", 16: "ioctl", 257: "openat", 56: "clone", 435: "clone3"}
_OTHERS = {number: SystemCall(name, WaitKind.OTHER) for number, name in _OPEN_CALLS.items()}
_LIMIT = 1 << 31


def system_call(number: int, arguments: Arguments) -> SystemCall:
    """Return what a system call waits for; OTHER where nobody knows."""
    if number == _FCNTL and arguments[1] in _LOCKS_OF_FCNTL:
        return SystemCall("fcntl", WaitKind.FILE_LOCK, descriptor=0)
    known = SYSTEM_CALLS.get(number) or _OTHERS.get(number)
    return known or SystemCall(f"system call {number}", WaitKind.OTHER)


def has_timeout(call: SystemCall, arguments: Arguments) -> bool:
    """Return whether a system call ends by itself."""
    if call.timeout is None:
        return False
    value = arguments[call.timeout]
    if value is None:
        return False
    return value & 0xFFFFFFFF < _LIMIT if call.is_number else value != 0


def detail(
    call: SystemCall, arguments: Arguments, name_of: Callable[[int], str | None]
) -> str | None:
    """Return in words what it is about: "recvmsg from socket 12"; `name_of` names descriptors."""
    number = None if call.descriptor is None else arguments[call.descriptor]
    if number is None:
        return call.name
    number &= 0xFFFFFFFF
    return f"{call.name}: descriptor {number} ({name_of(number) or 'unknown'})"
