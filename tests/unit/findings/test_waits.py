"""What is worth a finding among threads that wait."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.finding import Severity
from profiler.model.wait_picture import WaitPicture, WaitStatus
from profiler.model.waits import Lock, LockKind, WaitingThread, WaitKind
from tests import wait_examples as examples
from tests.wait_examples import MS, SECOND, circle, frames, mutex, other, pictured, waiter

LOCK = mutex(0x1000, 9)
RUNNING = other(9, WaitKind.RUNNING, 0)


def ids(picture: WaitPicture) -> list[str]:
    return [finding.id for finding in picture.findings]


@pytest.mark.parametrize("count", [2, 3, 7])
def test_a_deadlock_comes_first(count: int) -> None:
    made = circle(count)
    (finding,) = made.findings
    assert (finding.id, finding.severity, finding.rank) == ("deadlock", Severity.LOST, 1)
    assert finding.title.startswith(f"deadlock: {count} threads wait for each other, for ")
    assert finding.evidence[0] == (
        "thread 1 asterisk wants a lock (mutex at 0x2000), which thread 2 has"
    )
    assert len(finding.evidence) == count
    assert made.status is WaitStatus.DEADLOCK


def test_a_thread_that_waits_for_itself_is_a_deadlock_too() -> None:
    (finding,) = circle(1).findings
    assert finding.title == ("deadlock: a thread waits for a lock that it has itself, for 19 s")


def test_who_gives_up_is_told_about() -> None:
    (forever,), (limited,) = circle(2).findings, circle(2, has_timeout=True).findings
    assert "None of them will ever run again" in forever.advice
    assert limited.advice.startswith("Thread 1 waits for a limited time only: look again.")


def test_others_behind_a_deadlock_are_counted_and_no_finding_of_their_own() -> None:
    (finding,) = examples.deadlock().findings
    assert finding.title == "deadlock: 2 threads wait for each other, for 8 s; 3 more behind them"


def test_a_thread_that_others_need_and_that_has_not_run_is_stuck() -> None:
    made = examples.chain()
    (finding,) = made.findings
    assert (finding.id, finding.severity) == ("stuck-thread", Severity.WAITING)
    assert finding.title.startswith("thread 21 session_do keeps channels ")
    assert finding.title.endswith(" locked: 2 threads behind it, up to 2.3 s")
    assert finding.evidence == (
        "it waits to read in read < load_blob < db_open < action_originate < ...; "
        "it has not run for 6 s",
        "waiting: 2 threads of session_do",
    )
    assert made.status is WaitStatus.STUCK


@pytest.mark.parametrize(("waiting_ns", "found"), [(5 * SECOND, True), (5 * SECOND - 1, False)])
def test_who_waits_longer_than_the_limit_is_stuck_whatever_the_root_does(
    waiting_ns: int, found: bool
) -> None:
    made = pictured([RUNNING, waiter(1, 0, waiting_ns)], [LOCK])
    assert ids(made) == (["stuck-thread"] if found else ["lock-contention"])
    assert made.status is (WaitStatus.STUCK if found else WaitStatus.OK)


def test_a_root_that_sleeps_long_is_no_trouble_while_its_waiters_change() -> None:
    threads = [other(9, WaitKind.CONDITION, 600 * SECOND), waiter(1, 0, 1 * MS)]
    assert pictured(threads, [LOCK], [threads[0]]).findings == ()


def test_a_lock_whose_owner_ended_can_never_be_had() -> None:
    gone = replace(LOCK, owner_is_gone=True)
    (finding,) = pictured([waiter(1, 0, 9 * SECOND)], [gone]).findings
    assert (finding.id, finding.severity) == ("stuck-thread", Severity.LOST)
    assert finding.title.startswith("thread 9 ended and left a lock (mutex at 0x1000) locked")


def test_who_waits_long_for_a_lock_that_changes_hands_is_no_threads_fault() -> None:
    moving = replace(LOCK, owner=None, changes_hands=True, seen_owners=(9, 4))
    made = pictured([RUNNING, waiter(1, 0, 9 * SECOND)], [moving])
    (finding,) = made.findings
    assert finding.id == "lock-contention"
    assert finding.evidence[0] == ("it changes hands; seen to have it: thread 4, thread 9 asterisk")
    assert made.status is WaitStatus.STUCK
    made = pictured([waiter(1, 0, 9 * SECOND)], [replace(moving, seen_owners=())])
    assert made.findings[0].evidence[0] == "it changes hands; seen to have it: nobody"


def test_it_is_said_where_in_the_source_threads_ask() -> None:
    stack = (replace(frames("handle")[0], source="channel.c:7"),)
    (finding,) = pictured([RUNNING, waiter(1, 0, frames=stack)], [LOCK]).findings
    assert finding.evidence[-1] == "waiting: 1 thread of asterisk in handle (channel.c:7)"


def test_that_the_last_owner_has_slept_long_does_not_matter_where_the_lock_changes_hands() -> None:
    threads = [other(9, WaitKind.POLL, 600 * SECOND), waiter(1, 0, 2 * SECOND)]
    assert pictured(threads, [replace(LOCK, changes_hands=True)]).status is WaitStatus.OK
    assert pictured(threads, [LOCK]).status is WaitStatus.STUCK


def test_a_deadlock_comes_before_a_lock_that_nobody_can_give_back() -> None:
    locks = [mutex(0x1000, 1), mutex(0x2000, 9, owner_is_gone=True)]
    made = pictured([waiter(1, 0), waiter(2, 1, 9 * SECOND)], locks)
    assert [(one.rank, one.id) for one in made.findings] == [(1, "deadlock"), (2, "stuck-thread")]
    assert {one.severity for one in made.findings} == {Severity.LOST}


def test_readers_are_counted_as_nobody_keeps_who_they_are() -> None:
    lock = Lock(0x1000, LockKind.RWLOCK, None, readers=3)
    (finding,) = pictured([waiter(1, 0, 9 * SECOND, kind=WaitKind.WRITE_LOCK)], [lock]).findings
    assert finding.title.startswith("nobody knows who keeps a lock (rwlock at 0x1000) locked")
    assert finding.evidence[0] == "3 threads have it to read"


def many(count: int) -> list[WaitingThread]:
    return [waiter(tid, 0, 1 * MS, switches=tid) for tid in range(10, 10 + count)]


def test_many_that_wait_in_both_snapshots_contend() -> None:
    for count, found in ((4, ["lock-contention"]), (3, [])):
        before = [replace(thread, switches=0) for thread in many(count)]
        made = pictured([RUNNING, *many(count)], [LOCK], before)
        assert ids(made) == found
        assert made.status is WaitStatus.OK
    assert pictured([RUNNING, *many(9)], [LOCK], many(3)).findings == ()


def test_contention_says_who_has_the_lock() -> None:
    made = pictured([replace(RUNNING, role="monitor"), waiter(1, 0)], [LOCK])
    (finding,) = made.findings
    assert finding.title == "a lock (mutex at 0x1000) is wanted by 1 thread, for up to 2 s"
    assert finding.evidence == ("thread 9 monitor has it; it runs", "waiting: 1 thread of asterisk")


def test_nothing_is_found_where_threads_only_wait_for_work() -> None:
    for made in (examples.healthy(), pictured(examples.IDLE), pictured(())):
        assert made.findings == ()
        assert made.status is WaitStatus.OK
