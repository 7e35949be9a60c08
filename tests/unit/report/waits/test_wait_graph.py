"""Circles and trees of threads that wait for each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.wait_picture import LockWait
from profiler.report.waits.wait_graph import WaitGraph, graph


def wait(waiter: int, lock: int, owner: int | None, stands: bool = True) -> LockWait:
    return LockWait(waiter, lock, owner, 1_000 + waiter, stands)


def ring(count: int, stands: bool = True) -> list[LockWait]:
    """Return threads that want the lock of the next; each lock has the number of its owner."""
    return [wait(tid, tid % count + 1, tid % count + 1, stands) for tid in range(1, count + 1)]


@pytest.mark.parametrize("count", [1, 2, 3, 7, 5_000])
def test_a_circle_is_a_deadlock(count: int) -> None:
    found = graph(ring(count), {})
    (deadlock,) = found.deadlocks
    assert found.chains == ()
    assert [one.waiter for one in deadlock.waits] == list(range(1, count + 1))
    assert [one.owner for one in deadlock.waits] == [*range(2, count + 1), 1]
    assert (deadlock.behind, deadlock.age_ns) == ((), 1_001)


def test_who_waits_behind_a_deadlock_belongs_to_it() -> None:
    found = graph([*ring(2), wait(7, 1, 1), wait(8, 7, 7), wait(9, 2, 2)], {})
    (deadlock,) = found.deadlocks
    behind = [(queue.lock, queue.depth, queue.waits[0].waiter) for queue in deadlock.behind]
    assert behind == [(1, 1, 7), (7, 2, 8), (2, 1, 9)]
    assert deadlock.behind_count == 3
    assert found.chains == ()


def test_two_deadlocks_are_two() -> None:
    others = [wait(11, 12, 12), wait(12, 11, 11)]
    assert [len(one.waits) for one in graph([*ring(3), *others], {}).deadlocks] == [3, 2]


def test_a_circle_that_moves_is_no_deadlock_and_begins_at_who_moved() -> None:
    waits = [*ring(3)[:2], wait(3, 1, 1, stands=False), wait(9, 2, 2)]
    found = graph(waits, {})
    assert found.deadlocks == ()
    (chain,) = found.chains
    assert chain.root == 3
    assert {one.waiter for one in chain.waits} == {1, 2, 3, 9}


def test_who_gives_up_is_named_only_in_its_circle() -> None:
    found = graph([*ring(2), wait(7, 1, 1)], {}, frozenset((2, 7)))
    assert found.deadlocks[0].gives_up == (2,)


def test_a_thread_that_waits_for_the_end_of_another_closes_a_circle() -> None:
    join = LockWait(1, None, 2, 9, True)
    found = graph([wait(2, 1, 1), wait(3, 1, 1)], {}, joins=[join, LockWait(8, None, 9, 9, True)])
    (deadlock,) = found.deadlocks
    assert deadlock.waits == (join, wait(2, 1, 1))
    assert [one.waiter for queue in deadlock.behind for one in queue.waits] == [3]
    assert found.chains == ()
    moving = graph([wait(2, 1, 1)], {}, joins=[LockWait(1, None, 2, 9, False)])
    assert (moving.deadlocks, [chain.root for chain in moving.chains]) == ((), [1])


def test_a_chain_begins_at_who_waits_for_no_lock() -> None:
    found = graph([wait(2, 1, 1), wait(3, 2, 2), wait(4, 2, 2), wait(5, 1, 1)], {1: 6})
    (chain,) = found.chains
    assert (chain.root, chain.longest_ns) == (1, 1_005)
    shown = [
        (queue.lock, queue.depth, [one.waiter for one in queue.waits]) for queue in chain.queues
    ]
    assert shown == [(1, 1, [5, 2]), (2, 2, [4, 3])]
    assert [queue.before_count for queue in chain.queues] == [6, 0]


def test_a_lock_that_nobody_is_known_to_have_is_a_root() -> None:
    found = graph([wait(2, 1, None), wait(3, 5, None), wait(4, 2, 2)], {})
    assert [(chain.root, len(chain.waits)) for chain in found.chains] == [(None, 2), (None, 1)]


def test_who_keeps_others_waiting_longest_is_first() -> None:
    found = graph([wait(20, 1, 1), wait(90, 2, 2), wait(30, 3, 3)], {})
    assert [chain.root for chain in found.chains] == [2, 3, 1]


def shown_waits(found: WaitGraph) -> list[LockWait]:
    shown = [one for deadlock in found.deadlocks for one in deadlock.waits]
    behind = [queue for deadlock in found.deadlocks for queue in deadlock.behind]
    behind += [queue for chain in found.chains for queue in chain.queues]
    return shown + [one for queue in behind for one in queue.waits]


@given(
    owners=st.lists(st.none() | st.integers(0, 12), min_size=8, max_size=8),
    wanted=st.dictionaries(st.integers(0, 12), st.integers(0, 7)),
    moving=st.sets(st.integers(0, 12)),
    joined=st.dictionaries(st.integers(0, 12), st.integers(0, 12)),
)
def test_each_wait_is_shown_exactly_once(
    owners: list[int | None], wanted: dict[int, int], moving: set[int], joined: dict[int, int]
) -> None:
    waits = [wait(tid, lock, owners[lock], tid not in moving) for tid, lock in wanted.items()]
    joins = [
        LockWait(tid, None, other, 7, tid not in moving)
        for tid, other in joined.items()
        if tid not in wanted  # a thread waits for one thing
    ]
    found = graph(waits, {}, joins=joins)
    shown = [one for one in shown_waits(found) if one.lock is not None]
    assert sorted(shown, key=lambda one: one.waiter) == sorted(waits, key=lambda one: one.waiter)
    for deadlock in found.deadlocks:
        assert all(one.stands for one in deadlock.waits)
        following = [*deadlock.waits[1:], deadlock.waits[0]]
        assert [one.owner for one in deadlock.waits] == [one.waiter for one in following]


def test_thousands_behind_each_other_are_no_trouble() -> None:
    found = graph([wait(tid + 1, tid, tid) for tid in range(1, 5_000)], {})
    assert found.chains[0].queues[-1].depth == 4_999
