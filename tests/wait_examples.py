"""Snapshots of threads that wait, with made-up, plausible values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from profiler.model.recording import System
from profiler.model.wait_picture import WaitPicture
from profiler.model.waits import (
    HeldLock,
    Lock,
    LockedContainer,
    LockedObject,
    LockKind,
    Snapshot,
    WaitFrame,
    WaitingThread,
    WaitKind,
)
from profiler.report.waits.wait_picture import picture
from tests.examples import target
from tests.hostile_names import HOSTILE_NAME, LONG_NAME

MS = 1_000_000
SECOND = 1_000 * MS
STUCK_NS = 5 * SECOND
TAKEN_AT = "2026-11-28T02:00:00Z"
FIRST_NS = 7_200 * SECOND


def frames(*names: str) -> tuple[WaitFrame, ...]:
    """Return a stack, leaf first."""
    return tuple(
        WaitFrame(name, "asterisk", 0x1000 * at, 0x40_0000 + 0x1000 * at)
        for at, name in enumerate(names)
    )


def waiter(tid: int, lock: int, waiting_ns: int = 2 * SECOND, **more: object) -> WaitingThread:
    """Return a thread that waits for a mutex."""
    thread = WaitingThread(tid, "asterisk", WaitKind.MUTEX, waiting_ns, switches=5, lock=lock)
    return replace(thread, **more)  # type: ignore[arg-type]


def other(tid: int, kind: WaitKind, waiting_ns: int = 60 * SECOND, **more: object) -> WaitingThread:
    """Return a thread that waits for no lock."""
    thread = WaitingThread(tid, "asterisk", kind, waiting_ns, switches=5)
    return replace(thread, **more)  # type: ignore[arg-type]


def mutex(address: int, owner: int | None, **more: object) -> Lock:
    return replace(Lock(address, LockKind.MUTEX, owner, 1), **more)  # type: ignore[arg-type]


def snapshot(
    threads: Iterable[WaitingThread], locks: Iterable[Lock], at_ns: int = FIRST_NS
) -> Snapshot:
    return Snapshot(target(), at_ns, at_ns + 10 * MS, tuple(threads), tuple(locks))


def pictured(
    threads: Iterable[WaitingThread],
    locks: Iterable[Lock] = (),
    before: Iterable[WaitingThread] | None = None,
) -> WaitPicture:
    """Return the picture of two snapshots 300 ms apart, the first equal to the second if None."""
    threads, locks = tuple(threads), tuple(locks)
    first = snapshot(threads if before is None else before, locks)
    second = snapshot(threads, locks, FIRST_NS + 310 * MS)
    return picture(first, second, STUCK_NS, TAKEN_AT)


def circle(count: int, **more: object) -> WaitPicture:
    """Return threads 1 to count, each of which wants the lock of the next one."""
    locks = [mutex(0x1000 * tid, tid) for tid in range(1, count + 1)]
    threads = [waiter(tid, tid % count, (20 - tid) * SECOND, **more) for tid in range(1, count + 1)]
    return pictured(threads, locks)


def channel(owner: int) -> Lock:
    thing = LockedObject(0x7F10_0000_0100, "ast_channel_destructor", 4)
    return mutex(0x7F10_0000_0080, owner, object=thing)


def bridge(owner: int) -> Lock:
    thing = LockedObject(0x7F10_0000_0900, "destroy_bridge", 3)
    return mutex(0x7F10_0000_0880, owner, object=thing)


def channels(owner: int | None) -> Lock:
    container = LockedContainer("hash", "ast_channel_cmp_cb", None, None, 200, 1567)
    thing = LockedObject(0x7F10_0000_0500, None, 1, container)
    return mutex(0x7F10_0000_0480, owner, object=thing, files=("channel.c",))


_LOCKING = ("__lll_lock_wait", "___pthread_mutex_lock", "__ast_pthread_mutex_lock", "__ao2_lock")
IDLE = (
    other(900, WaitKind.CONDITION, role="default_tps_processing_function"),
    other(901, WaitKind.CONDITION, role="default_tps_processing_function"),
    other(902, WaitKind.POLL, role="do_monitor (chan_sip.so)"),
    other(903, WaitKind.SLEEP, role="mb_poll_thread"),
    other(904, WaitKind.RUNNING, 0),
)


def deadlock() -> WaitPicture:
    """A channel and a bridge: two threads want each other's, and AMI piles up behind them."""
    dial = frames(*_LOCKING, "ast_channel_bridge_peer", "dial_exec_full", "pbx_thread", "clone")
    leave = frames(*_LOCKING, "bridge_channel_internal_pull", "bridge_thread", "clone")
    listing = frames(*_LOCKING, "internal_ao2_traverse", "action_status", "session_do")
    dial = tuple(
        replace(frame, source="features.c:42") if frame.name == "ast_channel_bridge_peer" else frame
        for frame in dial
    )
    threads = (
        waiter(11, 1, 9 * SECOND, role="pbx_thread", frames=dial, holds=(HeldLock(0, 5),)),
        waiter(12, 0, 8 * SECOND, role="bridge_thread", frames=leave, holds=(HeldLock(1),)),
        waiter(13, 0, 7 * SECOND, role="session_do", frames=listing, holds=(HeldLock(2),)),
        *(waiter(tid, 2, tid * 100 * MS, role="session_do", frames=listing) for tid in (14, 15)),
    )
    return pictured((*threads, *IDLE), (channel(11), bridge(12), channels(13)))


def chain() -> WaitPicture:
    """A thread reads a file under the lock of the channels, and others want it."""
    reading = frames("read", "load_blob", "db_open", "action_originate", "session_do")
    listing = frames(*_LOCKING, "internal_ao2_traverse", "ast_channel_get_by_name", "action_status")
    root = other(21, WaitKind.READ, 6 * SECOND, role="session_do", frames=reading)
    behind = (waiter(tid, 0, tid * 100 * MS, role="session_do", frames=listing) for tid in (22, 23))
    return pictured((root, *behind, *IDLE), (channels(21),))


def healthy() -> WaitPicture:
    """A busy PBX: locks are waited for, but never by the same thread for long."""
    locks = (channels(904),)
    before = (waiter(31, 0, 2 * MS, switches=4), *IDLE)
    return pictured((waiter(32, 0, 1 * MS), waiter(31, 0, 1 * MS), *IDLE), locks, before)


def hostile() -> WaitPicture:
    """Every string is one that might break an output."""
    name = HOSTILE_NAME + LONG_NAME
    stack = (replace(frames(name)[0], source=name, module=name), *frames(*_LOCKING))
    thing = LockedObject(1, name, 1)
    locks = [
        Lock(8, LockKind.MUTEX, 1, 3, object=thing),
        Lock(16, LockKind.RWLOCK, 2, place=name, files=(name,)),
        Lock(24, LockKind.RWLOCK, None, readers=2, variables=(name,), files=(name,)),
    ]
    threads = [
        waiter(1, 1, role=name, frames=stack, holds=(HeldLock(0, 0),), cause=name),
        waiter(2, 0, name=name, frames=stack),
        waiter(3, 2, 9 * SECOND, role=name, frames=stack),
        other(4, WaitKind.OTHER, detail=name, name=name),
    ]
    made = pictured(threads, locks)
    system = System(name, (name,), name, name, name)
    return replace(made, target=target(version=name, exe=name, system=system), warnings=(name,))


EXAMPLES: Mapping[str, Callable[[], WaitPicture]] = {
    "deadlock": deadlock,
    "chain": chain,
    "healthy": healthy,
    "hostile": hostile,
}
