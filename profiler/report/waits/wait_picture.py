"""Makes two snapshots of the same process one picture: what stands in both is stuck. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from profiler import __version__
from profiler.findings.waits import find, status_of
from profiler.model.wait_picture import SCHEMA, LockWait, WaitPicture, WaitStatus
from profiler.model.waits import Lock, Snapshot, WaitingThread, WaitKind
from profiler.report.waits.lock_names import lock_name
from profiler.report.waits.wait_graph import graph


def picture(first: Snapshot, second: Snapshot, stuck_ns: int, taken_at: str) -> WaitPicture:
    """Return who waits for whom in the second snapshot, and which of them did in the first, too."""
    second = replace(second, locks=_seen_twice(first, second))
    waits = _waits(first, second)
    before = Counter(
        first.locks[thread.lock].address for thread in first.threads if thread.lock is not None
    )
    before_counts = {at: before[lock.address] for at, lock in enumerate(second.locks)}
    gives_up = frozenset(thread.tid for thread in second.threads if thread.has_timeout)
    found = graph(waits, before_counts, gives_up, _joins(first, second))
    made = WaitPicture(
        schema=SCHEMA,
        tool_version=__version__,
        taken_at=taken_at,
        target=second.target,
        interval_ns=second.start_ns - first.end_ns,
        stuck_ns=stuck_ns,
        status=WaitStatus.OK,
        findings=(),
        deadlocks=found.deadlocks,
        chains=found.chains,
        waits=waits,
        threads=second.threads,
        locks=second.locks,
        lock_names=tuple(map(lock_name, second.locks)),
        warnings=second.warnings,
    )
    return replace(made, findings=find(made), status=status_of(made))


def _seen_twice(first: Snapshot, second: Snapshot) -> tuple[Lock, ...]:
    """Return the locks of the second snapshot, with what both say of who has them.

    A thread may give a lock back and end while it is looked at: only what both see has an owner
    that is gone.
    """
    earlier = {lock.address: lock for lock in first.locks}
    return tuple(_since(earlier.get(lock.address), lock) for lock in second.locks)


def _since(before: Lock | None, now: Lock) -> Lock:
    is_same = before is not None and before.owner == now.owner
    seen = set(now.seen_owners).union(() if before is None else before.seen_owners)
    now = replace(now, seen_owners=tuple(sorted(seen)))
    if now.owner_is_gone and not (is_same and before is not None and before.owner_is_gone):
        return replace(now, owner=None, owner_is_gone=False, changes_hands=True)
    return now if before is None or is_same else replace(now, changes_hands=True)


def _waits(first: Snapshot, second: Snapshot) -> tuple[LockWait, ...]:
    earlier = {thread.tid: thread for thread in first.threads}
    return tuple(
        LockWait(
            thread.tid,
            thread.lock,
            second.locks[thread.lock].owner,
            thread.waiting_ns,
            _wants_same(first, earlier.get(thread.tid), second, thread)
            and _stands(first, earlier[thread.tid], second, thread),
        )
        for thread in second.threads
        if thread.lock is not None
    )


def _joins(first: Snapshot, second: Snapshot) -> tuple[LockWait, ...]:
    """Return who waits for the end of another thread of the process."""
    earlier = {thread.tid: thread for thread in first.threads}
    tids = {thread.tid for thread in second.threads}
    return tuple(
        LockWait(
            thread.tid,
            None,
            thread.waits_for,
            thread.waiting_ns,
            thread.tid in earlier
            and earlier[thread.tid].waits_for == thread.waits_for
            and _stands(first, earlier[thread.tid], second, thread),
        )
        for thread in second.threads
        if thread.kind is WaitKind.JOIN and thread.waits_for in tids
    )


def _wants_same(
    first: Snapshot, earlier: WaitingThread | None, second: Snapshot, now: WaitingThread
) -> bool:
    """Return whether a thread waits for the same lock as before."""
    if earlier is None or earlier.lock is None or now.lock is None:
        return False
    return first.locks[earlier.lock].address == second.locks[now.lock].address


def _stands(first: Snapshot, earlier: WaitingThread, second: Snapshot, now: WaitingThread) -> bool:
    """Return whether a thread surely has not run between both snapshots."""
    if earlier.kind is not now.kind or earlier.moved or now.moved:
        return False
    if earlier.switches is not None and now.switches is not None:
        return earlier.switches == now.switches
    return now.waiting_ns is not None and now.waiting_ns >= second.end_ns - first.start_ns
