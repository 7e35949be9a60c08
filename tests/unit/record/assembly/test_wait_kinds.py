from __future__ import annotations

from collections.abc import Sequence

import pytest

from profiler.model import offcpu
from profiler.model.waits import WaitKind
from profiler.record.assembly.wait_kinds import Likeness, shown_kind, wait_kind

DESCRIPTORS = {3: "socket", 4: "pipe", 5: "/var/lib/asterisk/astdb.sqlite3", 6: "anon_inode"}


class Functions:
    """A stack's functions are what the test says."""

    def __init__(self, *names: str, called: str | None = None) -> None:
        self._names = list(names)
        self._called = called

    def leading_names(self, addresses: Sequence[int]) -> list[str]:
        return self._names if addresses else []

    def called(self, _: Sequence[int]) -> str | None:
        return self._called


MUTEX = Functions("__lll_lock_wait", "pthread_mutex_lock", "ast_mutex_lock")
CONDITION = Functions("__futex_abstimed_wait", "pthread_cond_wait", "worker")
JOIN = Functions("__futex_abstimed_wait", "pthread_join", "stop")
NOBODY = Functions("", "worker", called="sem_wait")


@pytest.mark.parametrize(
    ("functions", "likeness", "kind"),
    [
        (MUTEX, Likeness.VALUE, WaitKind.MUTEX),
        (MUTEX, Likeness.NONE, WaitKind.MUTEX),
        (CONDITION, Likeness.NONE, WaitKind.CONDITION),
        (CONDITION, Likeness.VALUE, WaitKind.CONDITION),  # since glibc 2.41 with any even value
        (CONDITION, Likeness.SEEN, WaitKind.MUTEX),  # which it takes again
        (JOIN, Likeness.SEEN, WaitKind.JOIN),
        (NOBODY, Likeness.NONE, WaitKind.SEMAPHORE),
        (Functions("pthread_rwlock_rdlock"), Likeness.NONE, WaitKind.READ_LOCK),
    ],
)
def test_a_futex_is_told_by_functions(
    functions: Functions, likeness: Likeness, kind: WaitKind
) -> None:
    assert wait_kind(functions, (1, 2), 202, 128, likeness) is kind


def test_without_a_stack_what_a_waiter_expects_tells_a_mutex() -> None:
    assert wait_kind(Functions(), (), 202, 128, Likeness.VALUE) is WaitKind.MUTEX
    assert wait_kind(Functions(), (), 202, 137, Likeness.NONE) is WaitKind.FUTEX


def test_calls_that_go_on_after_a_signal_and_none_at_all() -> None:
    assert wait_kind(Functions("poll", "f"), (1,), 219, 0, Likeness.NONE) is WaitKind.POLL
    assert wait_kind(Functions("strange"), (1,), 219, 0, Likeness.NONE) is WaitKind.OTHER
    assert wait_kind(Functions(), (), None, 0, Likeness.NONE) is WaitKind.OTHER


@pytest.mark.parametrize(
    ("kind", "syscall", "descriptor", "shown"),
    [
        (WaitKind.READ, 0, 3, offcpu.NETWORK),
        (WaitKind.READ, 0, 4, offcpu.PIPE),
        (WaitKind.WRITE, 1, 5, offcpu.DISK),
        (WaitKind.READ, 0, 6, offcpu.OTHER),
        (WaitKind.READ, 0, 9, offcpu.OTHER),
        (WaitKind.READ, 45, 9, offcpu.NETWORK),
        (WaitKind.WRITE, 75, 9, offcpu.DISK),
        (WaitKind.OTHER, 257, 0, offcpu.DISK),
        (WaitKind.POLL, 7, 0, offcpu.NETWORK),
        (WaitKind.SLEEP, 35, 0, offcpu.SLEEP),
        (WaitKind.CHILD, 61, 0, offcpu.CHILD),
        (WaitKind.SIGNAL, 34, 0, offcpu.OTHER),
    ],
)
def test_what_is_read_and_written_tells_the_kind(
    kind: WaitKind, syscall: int, descriptor: int, shown: str
) -> None:
    assert shown_kind(kind, syscall, descriptor, DESCRIPTORS) == shown
    assert shown in offcpu.KINDS
