"""Two snapshots, and what stands in both."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.wait_picture import WaitStatus
from profiler.model.waits import WaitingThread, WaitKind
from tests.wait_examples import MS, SECOND, circle, mutex, other, pictured, waiter

LOCKS = (mutex(0x1000, 9), mutex(0x2000, 9))
NOW = waiter(1, 0)
BY_TIME = replace(NOW, switches=None)


@pytest.mark.parametrize(
    ("before", "now", "stands"),
    [
        (NOW, NOW, True),
        (replace(NOW, switches=4), NOW, False),
        (replace(NOW, lock=1), NOW, False),
        (replace(NOW, lock=None), NOW, False),
        (replace(NOW, tid=2), NOW, False),
        (replace(NOW, kind=WaitKind.FUTEX), NOW, False),
        (replace(NOW, moved=True), NOW, False),
        (NOW, replace(NOW, moved=True), False),
        # 310 ms lie between both, and each took 10 ms to read.
        (BY_TIME, replace(BY_TIME, waiting_ns=320 * MS), True),
        (BY_TIME, replace(BY_TIME, waiting_ns=319 * MS), False),
        (BY_TIME, replace(BY_TIME, waiting_ns=None), False),
    ],
)
def test_what_stands(before: WaitingThread, now: WaitingThread, stands: bool) -> None:
    (wait,) = pictured([now], LOCKS, [before]).waits
    assert wait.stands is stands


def test_a_lock_is_the_same_by_its_address_wherever_it_is_listed() -> None:
    threads = [waiter(1, 1), waiter(2, 0)]
    made = pictured(threads, LOCKS, [waiter(1, 1), waiter(2, 1)])
    assert [wait.stands for wait in made.waits] == [True, False]
    counts = {queue.lock: queue.before_count for chain in made.chains for queue in chain.queues}
    assert counts == {0: 0, 1: 2}


def test_a_circle_is_a_deadlock_only_if_all_of_it_stands() -> None:
    assert circle(3).status is WaitStatus.DEADLOCK
    threads = circle(3).threads
    before = [*threads[:2], replace(threads[2], switches=4)]
    moving = pictured(threads, circle(3).locks, before)
    assert moving.deadlocks == ()


def test_a_join_under_a_lock_that_the_other_thread_wants_is_a_deadlock() -> None:
    join = other(9, WaitKind.JOIN, waits_for=1)
    made = pictured([NOW, join], LOCKS)
    (deadlock,) = made.deadlocks
    assert [(wait.waiter, wait.lock, wait.owner) for wait in deadlock.waits] == [
        (1, 0, 9),
        (9, None, 1),
    ]
    assert [wait.waiter for wait in made.waits] == [1]
    for before in (replace(join, switches=4), replace(join, waits_for=3), NOW):
        assert pictured([NOW, join], LOCKS, [NOW, before]).deadlocks == ()
    assert pictured([NOW, replace(join, waits_for=77)], LOCKS).deadlocks == ()


def test_every_edge_is_there_and_the_rest_is_none() -> None:
    made = pictured([NOW, other(9, WaitKind.SLEEP), waiter(3, 1, 4 * SECOND)], LOCKS)
    assert [(wait.waiter, wait.lock, wait.owner) for wait in made.waits] == [(1, 0, 9), (3, 1, 9)]
    assert [lock.address for lock in made.locks] == [0x1000, 0x2000]
    assert [wait.waiting_ns for wait in made.waits] == [2 * SECOND, 4 * SECOND]
    assert made.interval_ns == 300 * MS
