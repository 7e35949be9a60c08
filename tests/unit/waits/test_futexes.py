from __future__ import annotations

import pytest

from profiler.model.waits import WaitKind
from profiler.waits.futexes import kind_of, plain_name, restarted_kind


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["__lll_lock_wait", "pthread_mutex_lock@@GLIBC_2.2.5", "f"], WaitKind.MUTEX),
        (["", "", "__ast_pthread_mutex_lock"], WaitKind.MUTEX),
        (["", "__pthread_mutex_lock_full"], WaitKind.MUTEX),
        (["", "pthread_mutex_timedlock"], WaitKind.MUTEX),
        (["", "pthread_cond_wait"], WaitKind.CONDITION),
        (["", "__ast_cond_timedwait"], WaitKind.CONDITION),
        (["", "pthread_rwlock_rdlock"], WaitKind.READ_LOCK),
        (["", "__pthread_rwlock_clockrdlock"], WaitKind.READ_LOCK),
        (["", "pthread_rwlock_timedwrlock"], WaitKind.WRITE_LOCK),
        (["", "__ast_rwlock_wrlock"], WaitKind.WRITE_LOCK),
        (["", "__new_sem_wait_slow64.constprop.0"], WaitKind.SEMAPHORE),
        (["", "sem_timedwait"], WaitKind.SEMAPHORE),
        (["", "__pthread_clockjoin_ex"], WaitKind.JOIN),
        (["__lll_lock_wait_private", "malloc"], WaitKind.FUTEX),
        (["pthread_once"], WaitKind.FUTEX),
        ([], WaitKind.FUTEX),
    ],
)
def test_functions_tell_what_a_futex_belongs_to(names: list[str], kind: WaitKind) -> None:
    assert kind_of(names, 128) is kind


def test_the_innermost_function_decides() -> None:
    names = ["", "__pthread_mutex_cond_lock", "pthread_cond_wait"]
    assert kind_of(names, 128) is WaitKind.MUTEX


@pytest.mark.parametrize("operation", [6, 6 | 128, 13 | 128])
def test_the_kernel_itself_knows_mutexes_with_priority_inheritance(operation: int) -> None:
    assert kind_of(["", ""], operation) is WaitKind.MUTEX


def test_what_a_signal_has_interrupted() -> None:
    assert restarted_kind(["poll", "ast_wait_for_input"]) is WaitKind.POLL
    assert restarted_kind(["clock_nanosleep@@GLIBC_2.17", "usleep"]) is WaitKind.SLEEP
    assert restarted_kind(["", "pthread_cond_timedwait"]) is None


def test_names_without_version_and_underscores() -> None:
    assert plain_name("__pthread_mutex_lock@GLIBC_2.2.5") == "pthread_mutex_lock"
