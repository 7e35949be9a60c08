"""Threads that wait, and their locks."""

from __future__ import annotations

from profiler.model.recording import Target
from profiler.model.waits import Lock, LockKind, Snapshot, WaitingThread, WaitKind

TARGET = Target(1, "/usr/sbin/asterisk", None, None, (), None, False)


def waiting(tid: int, lock: int | None, waiting_ns: int | None) -> WaitingThread:
    return WaitingThread(tid, "asterisk", WaitKind.MUTEX, waiting_ns, lock=lock)


SNAPSHOT = Snapshot(
    TARGET,
    start_ns=5,
    end_ns=9,
    threads=(waiting(7, 0, 20), waiting(8, 1, 90), waiting(9, 0, None), waiting(10, 0, 70)),
    locks=(Lock(0x1000, LockKind.MUTEX, 8), Lock(0x2000, LockKind.MUTEX, None)),
)


def test_who_waits_longest_for_a_lock_comes_first() -> None:
    assert [thread.tid for thread in SNAPSHOT.waiters(0)] == [10, 7, 9]


def test_a_thread_is_found_by_its_id() -> None:
    found = SNAPSHOT.thread(8)
    assert found is not None and found.waiting_ns == 90
    assert SNAPSHOT.thread(11) is None


def test_only_locks_have_somebody_who_must_give_them_back() -> None:
    assert {kind for kind in WaitKind if kind.is_lock} == {
        WaitKind.MUTEX,
        WaitKind.READ_LOCK,
        WaitKind.WRITE_LOCK,
    }


def test_a_thread_is_called_by_what_it_runs_else_by_its_name() -> None:
    assert waiting(7, None, 0).title == "asterisk"
    named = WaitingThread(7, "asterisk", WaitKind.POLL, 0, role="do_monitor (chan_sip.so)")
    assert named.title == "do_monitor (chan_sip.so)"


def test_a_stack_is_whole_unless_it_has_a_cause() -> None:
    assert waiting(7, None, 0).is_whole
    assert not WaitingThread(7, "asterisk", WaitKind.POLL, 0, cause="no rule").is_whole
