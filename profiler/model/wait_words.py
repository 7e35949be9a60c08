"""What a thread does, in words, and in which functions."""

from __future__ import annotations

from profiler.model.frame_names import is_c_library
from profiler.model.waits import WaitFrame, WaitingThread, WaitKind

_SHOWN_FRAMES = 4
_DOING = {
    WaitKind.MUTEX: "waits for a mutex",
    WaitKind.READ_LOCK: "waits to read under a lock",
    WaitKind.WRITE_LOCK: "waits to write under a lock",
    WaitKind.CONDITION: "waits for a condition",
    WaitKind.SEMAPHORE: "waits for a semaphore",
    WaitKind.JOIN: "waits for a thread to end",
    WaitKind.FUTEX: "waits in a futex",
    WaitKind.POLL: "waits for a descriptor",
    WaitKind.SLEEP: "sleeps",
    WaitKind.READ: "waits to read",
    WaitKind.WRITE: "waits to write",
    WaitKind.CHILD: "waits for a process to end",
    WaitKind.SIGNAL: "waits for a signal",
    WaitKind.FILE_LOCK: "waits for the lock of a file",
    WaitKind.OTHER: "waits in the kernel",
    WaitKind.RUNNING: "runs",
}
# What every wait for a lock, every way to give one back, and every thread's start has on its stack;
# without what precedes.
_MACHINERY = frozenset(
    (
        "lll_lock_wait",
        "lll_clocklock_wait",
        "futex_abstimed_wait_common",
        "futex_abstimed_wait_common64",
        "pthread_mutex_lock",
        "pthread_mutex_clocklock",
        "pthread_mutex_clocklock_common",
        "pthread_mutex_timedlock",
        "pthread_rwlock_rdlock",
        "pthread_rwlock_rdlock_full",
        "pthread_rwlock_wrlock",
        "pthread_rwlock_wrlock_full",
        "syscall_cancel_arch",
        "internal_syscall_cancel",
        "syscall_cancel",
        "ast_pthread_mutex_lock",
        "ast_rwlock_rdlock",
        "ast_rwlock_wrlock",
        "ao2_lock",
        "ast_pthread_mutex_trylock",
        "ast_pthread_mutex_unlock",
        "ast_rwlock_unlock",
        "ao2_unlock",
        "dummy_start",
        "start_routine@pj_thread_create",
        "start_thread",
        "clone",
        "clone3",
    )
)


def doing(thread: WaitingThread) -> str:
    """Return what it does and where: "sleeps in usleep < reload_config < do_reload"."""
    words = _DOING[thread.kind]
    if thread.waits_for is not None:
        words += f" ({thread.waits_for})"
    frames = calls(thread)
    shown = " < ".join(frames[:_SHOWN_FRAMES])
    if not shown:
        return words
    return f"{words} in {shown}" + (" < ..." if len(frames) > _SHOWN_FRAMES else "")


def calls(thread: WaitingThread) -> tuple[str, ...]:
    """Return the functions on its stack, leaf first, without those that tell nothing."""
    return tuple(frame.label for frame in thread.frames if _tells(frame))


def is_telling(name: str) -> bool:
    """Return whether a function says more than that a lock is taken, or that a thread begins."""
    return name.lstrip("~_") not in _MACHINERY


def _tells(frame: WaitFrame) -> bool:
    is_nameless = frame.module is not None and frame.name.startswith(f"{frame.module}+")
    if is_nameless and is_c_library(frame.module or ""):
        return False
    return is_telling(frame.name)
