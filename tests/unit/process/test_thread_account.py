"""What threads used in a window, from snapshots and ends that are made here."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.observed import ThreadAccount
from profiler.model.recording import ThreadUse
from profiler.process import threads
from profiler.process.target import TargetProcess
from profiler.process.thread_times import ThreadExit, ThreadTime
from profiler.process.threads import ThreadSums, ThreadUses


def thread_uses(
    start: Iterable[ThreadTime], end: Iterable[ThreadTime], exits: Iterable[ThreadTime]
) -> tuple[ThreadUse, ...]:
    sums = ThreadSums(start)
    for thread in exits:
        sums.add(thread, exited=True)
    for thread in end:
        sums.add(thread, exited=False)
    return sums.uses()


def at(tid: int, cpu_ns: int, delay_ns: int | None = 0, name: str = "n") -> ThreadTime:
    return ThreadTime(tid, name, cpu_ns, delay_ns)


def test_live_ended_new_and_vanished_threads() -> None:
    start = (at(1, 100, 10), at(2, 50, 5), at(3, 7, 7, "gone"))
    end = (at(1, 160, 30, "renamed"), at(4, 9, 2))
    exits = (at(2, 61, 6), at(5, 20, 1))

    assert thread_uses(start, end, exits) == (
        ThreadUse(1, "renamed", 60, 20, False),
        ThreadUse(2, "n", 11, 1, True),
        ThreadUse(3, "gone", 0, 0, True),
        ThreadUse(4, "n", 9, 2, False),
        ThreadUse(5, "n", 20, 1, True),
    )


def test_a_tid_that_is_used_again_stands_for_all_its_threads() -> None:
    uses = thread_uses([at(1, 100)], [at(1, 5, 1, "third")], [at(1, 130), at(1, 7, 2)])

    assert uses == (ThreadUse(1, "third", 30 + 7 + 5, 3, False),)


def test_unknown_delay_stays_unknown() -> None:
    assert thread_uses([at(1, 1, None)], [at(1, 3, None)], ()) == (
        ThreadUse(1, "n", 2, None, False),
    )


LIVES = st.lists(
    st.tuples(
        st.integers(1, 4),  # tid
        st.integers(0, 9),  # used before the window; only the first life of a tid may have some
        st.integers(0, 9),  # in it
        st.booleans(),  # ended in it
    ),
    max_size=12,
)


@given(LIVES)
def test_the_sum_over_threads_is_what_was_used(lives: list[tuple[int, int, int, bool]]) -> None:
    start: dict[int, ThreadTime] = {}
    live: dict[int, ThreadTime] = {}
    exits: list[ThreadTime] = []
    seen: set[int] = set()
    used = 0
    for tid, before, during, ended in lives:
        if tid in live:
            continue
        if tid not in seen and before:
            start[tid] = at(tid, before)
        else:
            before = 0
        seen.add(tid)
        used += during
        if ended:
            exits.append(at(tid, before + during))
        else:
            live[tid] = at(tid, before + during)

    uses = thread_uses(start.values(), live.values(), exits)

    assert sum(use.cpu_ns for use in uses) == used
    assert {use.tid for use in uses} == seen
    assert {use.tid for use in uses if not use.exited} == live.keys()


@pytest.mark.parametrize(("process", "expected"), [(100, 40), (50, 0)], ids=["missing", "noise"])
def test_unattributed(process: int, expected: int) -> None:
    account = ThreadAccount((ThreadUse(1, "n", 60, 0, False),), process)
    assert account.unattributed_ns == expected


class ScriptedTimes:
    """Stands in for TaskTimes: exits arrive, one list for each call, between the readings."""

    overflows = 0

    def __init__(self, exits: list[list[ThreadExit]]) -> None:
        self.cpu_ns = {1: 100, 2: 100}
        self.exits = exits

    def read_exits(self) -> list[ThreadExit]:
        return self.exits.pop(0)

    def close(self) -> None:
        pass


def ended(tid: int, cpu_ns: int, tgid: int | None = 1, started_ns: int | None = None) -> ThreadExit:
    return ThreadExit(at(tid, cpu_ns), tgid, started_ns)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> ScriptedTimes:
    times = ScriptedTimes([])
    monkeypatch.setattr(threads, "TaskTimes", lambda pid: times)
    monkeypatch.setattr(threads, "read_tids", lambda pid: tuple(times.cpu_ns))
    monkeypatch.setattr(threads, "read_schedstat", lambda pid, tid: at(tid, times.cpu_ns[tid]))
    return times


def test_ends_around_the_two_snapshots_are_counted_once(scripted: ScriptedTimes) -> None:
    # Before the window: 9. At its start, already read: 2. At its end, already read: 1.
    scripted.exits = [[ended(9, 50), ended(2, 103)], [], [ended(1, 131), ended(4, 5)]]
    uses = ThreadUses(TargetProcess.open(1, 0))
    uses.start()
    scripted.cpu_ns = {1: 130, 3: 7}
    uses.stop()
    account = uses.account()

    assert {use.tid: use.cpu_ns for use in account.threads} == {1: 30, 2: 3, 3: 7, 4: 5}


def test_ends_that_are_reported_late_count_by_when_threads_began(
    scripted: ScriptedTimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000]
    monkeypatch.setattr(threads, "time", SimpleNamespace(monotonic_ns=lambda: now[0]))
    gone_at_the_start = ended(9, 50, started_ns=900)
    inside = [ended(2, 103, started_ns=900), ended(5, 8, started_ns=1_500)]
    behind_the_end = ended(6, 8, started_ns=2_100)
    scripted.exits = [[gone_at_the_start], [], [*inside, behind_the_end]]
    uses = ThreadUses(TargetProcess.open(1, 0))
    uses.start()
    now[0] = 2_000
    scripted.cpu_ns = {1: 100}
    uses.stop()
    account = uses.account()

    assert {use.tid: use.cpu_ns for use in account.threads} == {1: 0, 2: 3, 5: 8}


def test_ends_of_other_processes_are_not_ours(scripted: ScriptedTimes) -> None:
    scripted.exits = [
        [],
        [],
        [ended(7, 1, tgid=8), ended(6, 1, tgid=None), ended(5, 3, tgid=None)],
        [],
    ]
    uses = ThreadUses(TargetProcess.open(1, 0))
    uses.start()
    scripted.cpu_ns[5] = 1
    uses.observe()
    del scripted.cpu_ns[5]
    uses.stop()
    account = uses.account()

    assert {use.tid: use.cpu_ns for use in account.threads} == {1: 0, 2: 0, 5: 3}
