"""Two snapshots, and what stands in both."""

from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.wait_picture import WaitStatus
from profiler.model.waits import Lock, WaitingThread, WaitKind
from profiler.report.waits.wait_picture import picture
from tests.wait_examples import (
    FIRST_NS,
    MS,
    SECOND,
    STUCK_NS,
    TAKEN_AT,
    circle,
    mutex,
    other,
    pictured,
    snapshot,
    waiter,
)

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


def seen(before: Lock | None, now: Lock) -> Lock:
    """Return a lock as both snapshots see it."""
    first = snapshot([NOW], [before] if before else [mutex(0x9000, 1)])
    made = picture(first, snapshot([NOW], [now], FIRST_NS + 310 * MS), STUCK_NS, TAKEN_AT)
    return made.locks[0]


def test_only_an_owner_that_is_gone_twice_is_gone() -> None:
    gone = replace(LOCKS[0], owner_is_gone=True)
    assert seen(gone, gone) == gone
    for before in (None, LOCKS[0], replace(gone, owner=8)):
        found = seen(before, gone)
        assert (found.owner, found.owner_is_gone, found.changes_hands) == (None, False, True)


def test_a_lock_that_another_thread_had_before_changes_hands() -> None:
    now = LOCKS[0]
    assert seen(now, now) == seen(None, now) == now
    assert seen(replace(now, owner=8), now) == replace(now, changes_hands=True)
    assert seen(replace(now, owner=None), now) == replace(now, changes_hands=True)


def test_who_was_seen_to_have_a_lock_at_either_look() -> None:
    before, now = replace(LOCKS[0], seen_owners=(3, 9)), replace(LOCKS[0], seen_owners=(2, 9))
    assert seen(before, now).seen_owners == (2, 3, 9)
    assert seen(None, now).seen_owners == (2, 9)
