"""The graph of who waits for whom: circles, and trees behind threads that wait for no lock. Pure.

A thread waits for one lock at a time, and a lock has one owner, so each thread points to one other
at most. Any such graph will do, whatever it says: each wait is shown exactly once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from profiler.model.wait_picture import Deadlock, LockQueue, LockWait, WaitChain


@dataclass(frozen=True, slots=True)
class WaitGraph:
    """Everybody who waits, in a deadlock, behind one, or in a chain."""

    deadlocks: tuple[Deadlock, ...]
    chains: tuple[WaitChain, ...]


def graph(
    waits: Sequence[LockWait],
    before: Mapping[int, int],
    gives_up: frozenset[int] = frozenset(),
    joins: Sequence[LockWait] = (),
) -> WaitGraph:
    """Return the graph of these waits; `before`: how many waited for a lock in the first snapshot.

    `gives_up`: tids of threads that wait for a limited time only. `joins`: who waits for the end of
    another thread, which matters only in a circle.
    """
    forest = _Forest(waits, before)
    deadlocks: list[Deadlock] = []
    begins, in_circle = set(), set()
    for circle in _circles({wait.waiter: wait for wait in (*joins, *waits)}):
        members = [wait.waiter for wait in circle]
        if all(wait.stands for wait in circle):
            behind = forest.grow(members, without=frozenset(members))
            timed = tuple(sorted(gives_up.intersection(members)))
            deadlocks.append(Deadlock(circle, behind, timed))
            in_circle.update(members)
        elif all(wait.lock is not None for wait in circle):
            # Read while it moved: nothing is certain, but it has to begin somewhere.
            begins.add(next(wait.waiter for wait in circle if not wait.stands))
    waiting = {wait.waiter for wait in waits} - begins
    roots = sorted({wait.owner for wait in waits if wait.owner is not None} - waiting - in_circle)
    chains = [WaitChain(root, forest.grow([root])) for root in roots]
    chains += [WaitChain(None, queues) for queues in forest.grow_ownerless()]
    chains.sort(key=lambda chain: (-chain.longest_ns, -len(chain.waits)))
    return WaitGraph(tuple(deadlocks), tuple(chains))


def _circles(by_waiter: Mapping[int, LockWait]) -> list[tuple[LockWait, ...]]:
    """Return each circle once, beginning with its lowest tid."""
    seen_from: dict[int, int] = {}
    found = []
    for start in sorted(by_waiter):
        way: list[int] = []
        at: int | None = start
        while at is not None and at in by_waiter and at not in seen_from:
            seen_from[at] = start
            way.append(at)
            at = by_waiter[at].owner
        if at is not None and seen_from.get(at) == start and at in way:
            members = way[way.index(at) :]
            first = members.index(min(members))
            found.append(tuple(by_waiter[tid] for tid in members[first:] + members[:first]))
    return found


class _Forest:
    """The queues behind locks, by who has them."""

    def __init__(self, waits: Sequence[LockWait], before: Mapping[int, int]) -> None:
        self._before = before
        self._queues: dict[int, list[LockWait]] = {}
        self._locks: dict[int | None, list[int]] = {}
        for wait in waits:
            if wait.lock is None:
                continue
            if wait.lock not in self._queues:
                self._queues[wait.lock] = []
                self._locks.setdefault(wait.owner, []).append(wait.lock)
            self._queues[wait.lock].append(wait)

    def grow(
        self, owners: Iterable[int], without: frozenset[int] = frozenset()
    ) -> tuple[LockQueue, ...]:
        """Return the queues behind these threads, each before those behind its waiters."""
        return self._behind([(lock, 1) for tid in owners for lock in self._held(tid)], without)

    def grow_ownerless(self) -> list[tuple[LockQueue, ...]]:
        """Return the queues behind each lock of which nobody knows who has it."""
        return [self._behind([(lock, 1)], frozenset()) for lock in self._locks.get(None, ())]

    def _held(self, tid: int) -> list[int]:
        return self._locks.get(tid, [])

    def _behind(
        self, first: list[tuple[int, int]], without: frozenset[int]
    ) -> tuple[LockQueue, ...]:
        grown = []
        seen = {lock for lock, _ in first}
        left = first[::-1]
        while left:
            lock, depth = left.pop()
            waits = [wait for wait in self._queues[lock] if wait.waiter not in without]
            waits.sort(key=lambda wait: (-(wait.waiting_ns or 0), wait.waiter))
            if waits:
                grown.append(LockQueue(lock, depth, tuple(waits), self._before.get(lock, 0)))
            for wait in reversed(waits):
                deeper = [held for held in self._held(wait.waiter) if held not in seen]
                seen.update(deeper)
                left += [(held, depth + 1) for held in reversed(deeper)]
        return tuple(grown)
