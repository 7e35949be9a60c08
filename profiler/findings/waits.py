"""Threads that wait for each other: deadlocks, threads that keep others waiting, full queues. Pure.

A moment is short: what is found stands in both snapshots, or many threads wait in both. Who waits
for work is no trouble, so conditions, polls and sleeps matter only of threads that others need.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from profiler.findings.lock_words import (
    CONTENTION_ADVICE,
    LONG_NS,
    STUCK_ADVICE,
    counted_threads,
    deadlock_title,
    stuck_title,
)
from profiler.findings.wording import seconds
from profiler.model.finding import Finding, Severity
from profiler.model.subject import Subject
from profiler.model.wait_picture import (
    Deadlock,
    LockQueue,
    LockWait,
    WaitChain,
    WaitPicture,
    WaitStatus,
)
from profiler.model.wait_words import doing
from profiler.model.waits import WaitingThread, WaitKind

_MANY = 4  # for a lock that so many want in both snapshots, each waits a short time
_LISTED = 8  # threads of a deadlock
_ROLES = 3  # of threads that wait
_SEVERITIES = tuple(Severity)


def find(picture: WaitPicture) -> tuple[Finding, ...]:
    """Return the findings, worst first; ranks count from 1."""
    found = sorted(
        _Rules(picture).findings(), key=lambda finding: _SEVERITIES.index(finding.severity)
    )
    return tuple(replace(finding, rank=rank) for rank, finding in enumerate(found, 1))


def status_of(picture: WaitPicture) -> WaitStatus:
    """Return the picture in one word: what monitoring asks for."""
    if picture.deadlocks:
        return WaitStatus.DEADLOCK
    rules = _Rules(picture)
    return WaitStatus.STUCK if any(map(rules.is_stuck, picture.chains)) else WaitStatus.OK


class _Rules:
    """All rules over one picture."""

    def __init__(self, picture: WaitPicture) -> None:
        self._picture = picture
        self._threads = {thread.tid: thread for thread in picture.threads}

    def findings(self) -> Iterator[Finding]:
        """Yield deadlocks, then one finding for each chain that stands, else for its locks."""
        yield from map(self._deadlock, self._picture.deadlocks)
        for chain in self._picture.chains:
            if self.is_stuck(chain) and not self._changes_hands(chain):
                yield self._stuck(chain)
            else:
                yield from map(self._contended, filter(_is_contended, chain.queues))

    def is_stuck(self, chain: WaitChain) -> bool:
        """Return whether its waiters wait too long, or need a thread that has not run so long."""
        standing = [wait.waiting_ns or 0 for wait in chain.waits if wait.stands]
        idle_ns = 0 if self._changes_hands(chain) else self._idle_ns(chain.root)
        return bool(standing) and max(*standing, idle_ns) >= self._picture.stuck_ns

    def _changes_hands(self, chain: WaitChain) -> bool:
        return self._picture.locks[chain.queues[0].lock].changes_hands

    def _idle_ns(self, tid: int | None) -> int:
        """Return for how long a thread has not run; 0 if it runs, or nobody knows."""
        thread = None if tid is None else self._threads.get(tid)
        if thread is None or thread.kind is WaitKind.RUNNING:
            return 0
        return thread.waiting_ns or 0

    def _deadlock(self, deadlock: Deadlock) -> Finding:
        evidence = [
            f"{self._label(wait.waiter)} {self._need(wait)}" for wait in deadlock.waits[:_LISTED]
        ]
        return Finding(
            "deadlock",
            0,
            deadlock_title(len(deadlock.waits), deadlock.age_ns, deadlock.behind_count),
            tuple(evidence),
            None,
            _advice(deadlock),
            Severity.LOST,
            Subject(tids=tuple(wait.waiter for wait in deadlock.waits)),
        )

    def _need(self, wait: LockWait) -> str:
        if wait.lock is None:
            return f"waits until thread {wait.owner} ends"
        return f"wants {self._picture.lock_names[wait.lock]}, which thread {wait.owner} has"

    def _stuck(self, chain: WaitChain) -> Finding:
        first = chain.queues[0]
        lock = self._picture.locks[first.lock]
        name = self._picture.lock_names[first.lock]
        title = f"{self._label(chain.root)} keeps {name} locked"
        advice = STUCK_ADVICE
        if lock.owner_is_gone:
            title = f"thread {lock.owner} ended and left {name} locked"
            advice = "Nobody can give that lock back: only a restart of Asterisk helps."
        elif chain.root is None:
            title = f"nobody knows who keeps {name} locked"
            advice = "A lock does not keep who reads: look for threads that work under it."
        evidence = [] if chain.root is None else [self._doing(chain.root)]
        if lock.readers:
            evidence.append(f"{counted_threads(lock.readers)} have it to read")
        return Finding(
            "stuck-thread",
            0,
            stuck_title(title, len(chain.waits), chain.longest_ns),
            (*evidence, *self._roles(first)),
            None,
            advice,
            Severity.LOST if lock.owner_is_gone else Severity.WAITING,
            _about(chain.root),
        )

    def _contended(self, queue: LockQueue) -> Finding:
        longest_ns = max(wait.waiting_ns or 0 for wait in queue.waits)
        owner = queue.waits[0].owner
        evidence = [] if owner is None else [f"{self._label(owner)} has it; {self._doing(owner)}"]
        lock = self._picture.locks[queue.lock]
        if lock.changes_hands:
            seen = ", ".join(map(self._label, lock.seen_owners)) or "nobody"
            evidence.append(f"it changes hands; seen to have it: {seen}")
        return Finding(
            "lock-contention",
            0,
            f"{self._picture.lock_names[queue.lock]} is wanted by "
            f"{counted_threads(len(queue.waits))}, for up to {seconds(longest_ns / 1e9)}",
            (*evidence, *self._roles(queue)),
            None,
            CONTENTION_ADVICE,
            Severity.WAITING,
            _about(owner),
        )

    def _roles(self, queue: LockQueue) -> list[str]:
        """Return who waits in a queue: threads that run the same in one line."""
        waiting = (self._threads.get(wait.waiter) for wait in queue.waits)
        counts = Counter(f"{thread.title}{_where(thread)}" for thread in waiting if thread)
        common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:_ROLES]
        return [f"waiting: {counted_threads(count)} of {title}" for title, count in common]

    def _label(self, tid: int | None) -> str:
        thread = None if tid is None else self._threads.get(tid)
        return f"thread {tid}" if thread is None else f"thread {tid} {thread.title}"

    def _doing(self, tid: int) -> str:
        thread = self._threads.get(tid)
        if thread is None:
            return "it was not seen"
        idle_ns = self._idle_ns(tid)
        since = f"; it has not run for {seconds(idle_ns / 1e9)}" if idle_ns else ""
        return f"it {doing(thread)}{since}"


def _about(tid: int | None) -> Subject:
    return Subject() if tid is None else Subject(tids=(tid,))


def _advice(deadlock: Deadlock) -> str:
    if deadlock.gives_up:
        return (
            f"Thread {deadlock.gives_up[0]} waits for a limited time only: look again. If it "
            "stays, keep this output for a bug report, and restart Asterisk."
        )
    return (
        "None of them will ever run again. Keep this output (and --json) for a bug report; only a "
        "restart of Asterisk helps."
    )


def _is_contended(queue: LockQueue) -> bool:
    if min(len(queue.waits), queue.before_count) >= _MANY:
        return True
    return any(wait.stands and (wait.waiting_ns or 0) >= LONG_NS for wait in queue.waits)


def _where(thread: WaitingThread) -> str:
    """Return where in the source a thread asks for its lock."""
    asks = next((frame.label for frame in thread.frames if frame.source is not None), None)
    return "" if asks is None else f" in {asks}"
