"""Chains and deadlocks."""

from __future__ import annotations

from dataclasses import replace

from profiler.model.wait_picture import Deadlock, LockQueue, LockWait, WaitChain

SHORT, LONG = LockWait(1, 0, 2, 50, True), LockWait(3, 0, 2, 90, True)
UNKNOWN = LockWait(4, 1, 3, None, False)


def test_a_chain_knows_all_that_wait_in_it() -> None:
    chain = WaitChain(2, (LockQueue(0, 1, (LONG, SHORT)), LockQueue(1, 2, (UNKNOWN,))))
    assert chain.waits == (LONG, SHORT, UNKNOWN)
    assert chain.longest_ns == 90


def test_a_deadlock_is_as_old_as_the_shortest_wait_that_is_known() -> None:
    behind = (LockQueue(0, 1, (SHORT,)), LockQueue(1, 2, (UNKNOWN, LONG)))
    deadlock = Deadlock((LONG, SHORT, UNKNOWN), behind)
    assert (deadlock.age_ns, deadlock.behind_count) == (50, 3)
    assert replace(deadlock, waits=(UNKNOWN,)).age_ns is None
