from __future__ import annotations

from collections import Counter

import pytest

from profiler import busy_threads
from profiler.busy_threads import BusyThreads, Drawn

SECOND = 1_000_000_000
PID = 11


class Threads:
    """A process, and what its threads have used."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cpu_ns: dict[int, int | None] = {}
        self.looks = 0
        self.reads = 0
        monkeypatch.setattr(busy_threads, "read_tids", self.tids)
        monkeypatch.setattr(busy_threads, "read_cpu_ns", self.used)
        self.busy = BusyThreads(PID)

    def tids(self, pid: int) -> tuple[int, ...]:
        assert pid == PID
        self.looks += 1
        return tuple(self.cpu_ns)

    def used(self, pid: int, tid: int) -> int | None:
        assert pid == PID
        self.reads += 1
        return self.cpu_ns[tid]

    def drawn(self, now_ns: int, times: int = 100) -> Counter[Drawn | None]:
        return Counter(self.busy.draw(now_ns) for _ in range(times))


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    return Threads(monkeypatch)


def test_nothing_is_known_until_the_second_look(threads: Threads) -> None:
    threads.cpu_ns = {1: 7 * SECOND}
    assert threads.busy.draw(5 * SECOND) is None
    threads.cpu_ns = {1: 8 * SECOND}
    assert threads.busy.draw(6 * SECOND - 1) is None
    assert threads.busy.draw(6 * SECOND) == Drawn(1, 1.0)


def test_threads_are_drawn_in_proportion_to_what_they_used_lately(threads: Threads) -> None:
    threads.cpu_ns = {1: 100 * SECOND, 2: 0, 3: 5 * SECOND}
    threads.busy.draw(0)
    threads.cpu_ns = {1: 100 * SECOND + SECOND // 5, 2: 3 * SECOND // 5, 3: 5 * SECOND}
    drawn = threads.drawn(2 * SECOND, 4000)
    rare, frequent = Drawn(1, 0.1), Drawn(2, 0.3)
    assert drawn.keys() == {rare, frequent}
    assert drawn[frequent] == pytest.approx(3000, abs=150)  # more than five deviations


def test_only_what_was_used_since_the_last_look_counts(threads: Threads) -> None:
    for now, cpu_ns in enumerate(((0, 0), (SECOND, 0), (SECOND, SECOND // 2))):
        threads.cpu_ns = {1: cpu_ns[0], 2: cpu_ns[1]}
        threads.busy.draw(now * SECOND)
    assert threads.drawn(2 * SECOND) == {Drawn(2, 0.5): 100}


def test_a_process_that_sleeps_has_no_thread_to_draw(threads: Threads) -> None:
    threads.cpu_ns = {1: SECOND, 2: 0}
    threads.busy.draw(0)
    assert threads.busy.draw(SECOND) is None


def test_threads_are_looked_at_once_a_second(threads: Threads) -> None:
    threads.cpu_ns = {1: 0}
    looks = []
    for now_ms in (0, 1, 999, 1000, 1500, 1999, 2000, 7000, 7999):
        threads.busy.draw(now_ms * 1_000_000)
        looks.append(threads.looks)
    assert looks == [1, 1, 1, 2, 2, 2, 3, 4, 4]


def test_a_thread_that_ended_is_drawn_until_the_next_look(threads: Threads) -> None:
    threads.cpu_ns = {1: 0, 2: 0, 3: 0}
    threads.busy.draw(0)
    threads.cpu_ns = {1: 1000, 2: 1000, 3: 1000}
    threads.busy.draw(SECOND)
    threads.cpu_ns = {1: 2000, 2: None}
    assert {drawn.tid for drawn in threads.drawn(2 * SECOND - 1) if drawn} == {1, 2, 3}
    assert {drawn.tid for drawn in threads.drawn(2 * SECOND) if drawn} == {1}


def test_a_process_that_ended_has_no_thread_to_draw(threads: Threads) -> None:
    for now, cpu_ns in enumerate((0, 1000)):
        threads.cpu_ns = {1: cpu_ns}
        threads.busy.draw(now * SECOND)
    threads.cpu_ns = {}
    assert threads.busy.draw(2 * SECOND) is None


def test_a_new_thread_is_drawn_once_it_was_seen_twice(threads: Threads) -> None:
    seen = []
    for now in range(4):
        threads.cpu_ns = {1: now * 1000}
        if now >= 2:
            threads.cpu_ns[2] = now * 1000
        seen.append({drawn.tid for drawn in threads.drawn(now * SECOND) if drawn})
    assert seen == [set(), {1}, {1}, {1, 2}]


def test_there_is_a_bound_on_threads_that_are_looked_at(threads: Threads) -> None:
    threads.cpu_ns = dict.fromkeys(range(5000), 0)
    threads.busy.draw(0)
    assert threads.reads == 4096
