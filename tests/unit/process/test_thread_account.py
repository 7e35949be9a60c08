"""What threads used in a window, from snapshots and ends that are made here."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.observed import ThreadAccount
from profiler.model.recording import ThreadUse
from profiler.process.target import TargetProcess
from profiler.process.threads import thread_uses as threads
from profiler.process.threads.thread_exits import ThreadExit, ThreadTime
from profiler.process.threads.thread_uses import ThreadSums, ThreadUses


def thread_uses(
    start: Iterable[ThreadTime], end: Iterable[ThreadTime], exits: Iterable[ThreadTime]
) -> tuple[ThreadUse, ...]:
    sums = ThreadSums(start)
    for thread in exits:
        sums.add(thread, exited=True)
    for thread in end:
        sums.add(thread, exited=False)
    return sums.uses()


def at(tid: int, cpu_ns: int, delay_ns: int = 0, name: str = "n") -> ThreadTime:
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


class ScriptedExits:
    """Stands in for ThreadExits: ends arrive, one list for each call, between the readings."""

    def __init__(self) -> None:
        self.cpu_ns = {1: 100, 2: 100}
        self.exits: list[list[ThreadExit]] = []
        self.now_ns = 1_000

    def read_exits(self) -> list[ThreadExit]:
        return self.exits.pop(0)

    read_last_exits = read_exits


def ended(tid: int, cpu_ns: int, started_ns: int) -> ThreadExit:
    return ThreadExit(at(tid, cpu_ns), started_ns)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> ScriptedExits:
    exits = ScriptedExits()
    monkeypatch.setattr(threads, "read_tids", lambda pid: tuple(exits.cpu_ns))
    monkeypatch.setattr(threads, "read_schedstat", lambda pid, tid: at(tid, exits.cpu_ns[tid]))
    monkeypatch.setattr(threads, "time", SimpleNamespace(monotonic_ns=lambda: exits.now_ns))
    return exits


def test_ends_count_that_began_in_the_window_or_were_there_at_its_start(
    scripted: ScriptedExits,
) -> None:
    gone_at_the_start = ended(9, 50, 900)
    there_at_the_start, inside = ended(2, 103, 900), ended(5, 8, 1_500)
    read_at_the_end, behind_the_end = ended(1, 131, 900), ended(6, 8, 2_100)
    scripted.exits = [
        [gone_at_the_start, there_at_the_start],
        [inside, read_at_the_end, behind_the_end],
    ]
    uses = ThreadUses(TargetProcess.open(1, 0), scripted)  # type: ignore[arg-type]
    uses.start()
    scripted.now_ns = 2_000
    scripted.cpu_ns = {1: 130, 3: 7}
    uses.stop()
    account = uses.account()

    assert {use.tid: use.cpu_ns for use in account.threads} == {1: 30, 2: 3, 3: 7, 5: 8}


def test_where_ends_are_not_reported_the_last_reading_of_each_thread_counts(
    scripted: ScriptedExits,
) -> None:
    uses = ThreadUses(TargetProcess.open(1, 0), None)
    uses.start()
    scripted.cpu_ns |= {2: 107, 5: 3}
    uses.observe()
    scripted.cpu_ns = {1: 130}
    uses.stop()
    account = uses.account()

    assert {use.tid: use.cpu_ns for use in account.threads} == {1: 30, 2: 7, 5: 3}


def test_who_ends_while_the_window_does_is_not_forgotten(
    scripted: ScriptedExits, monkeypatch: pytest.MonkeyPatch
) -> None:
    uses = ThreadUses(TargetProcess.open(1, 0), None)
    uses.start()
    scripted.cpu_ns |= {2: 107}
    readings = iter([(1, 2), (1,)])
    monkeypatch.setattr(threads, "read_tids", lambda _pid: next(readings))
    uses.stop()
    account = uses.account()

    assert {use.tid: use.cpu_ns for use in account.threads} == {1: 0, 2: 7}
