from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.process.threads.present_threads import PresentThread
from profiler.sampling import thread_starts
from profiler.sampling.thread_starts import ThreadStarts


class Births:
    """Stands in for what the kernel reports."""

    def __init__(self) -> None:
        self.born: list[tuple[int, tuple[int, int]]] = []

    def read(self) -> Iterator[tuple[int, tuple[int, int]]]:
        found, self.born = self.born, []
        yield from found

    def cost_ns(self) -> int:
        return 5


class Stacks:
    """Stands in both for what threads there are, and for where they began."""

    def __init__(self) -> None:
        self.of_tids: dict[int, tuple[int, ...]] = {}

    def read(self) -> tuple[PresentThread, ...]:
        return tuple(PresentThread(tid, 0, (), 0, False) for tid in self.of_tids)

    def of(self, thread: PresentThread, _most: int) -> tuple[int, ...]:
        return self.of_tids[thread.tid]


@pytest.fixture
def births() -> Any:
    return Births()


@pytest.fixture
def stacks() -> Any:
    return Stacks()


def test_threads_that_were_there_and_threads_that_are_born(births: Any, stacks: Any) -> None:
    starts = ThreadStarts(births, stacks, stacks)
    stacks.of_tids = {1: (10, 11, 12), 2: (20, 21)}
    starts.begin()
    births.born = [(3, (30, 31)), (2, (40, 0))]  # 2 ended, and is another one now
    starts.observe()
    births.born = [(4, (50, 0))]
    assert starts.end() == {1: (10, 11, 12), 2: (40, 0), 3: (30, 31), 4: (50, 0)}
    assert starts.cost_ns() == 5


def test_who_ran_at_the_beginning_is_looked_at_again(births: Any, stacks: Any) -> None:
    starts = ThreadStarts(births, stacks, stacks)
    stacks.of_tids = {1: (10, 11), 2: (), 3: (30,)}
    starts.begin()
    stacks.of_tids = {1: (98, 99), 2: (20, 21), 3: (31, 32)}
    assert starts.end() == {1: (10, 11), 2: (20, 21), 3: (31, 32)}


@pytest.mark.parametrize("later", [(), (31,)])
def test_what_is_known_is_not_given_up_for_less(stacks: Any, later: tuple[int, ...]) -> None:
    starts = ThreadStarts(None, stacks, stacks)
    stacks.of_tids = {3: (30,)}
    starts.begin()
    stacks.of_tids = {3: later}
    assert starts.end() == {3: (30,)}


def test_threads_for_which_there_is_no_time_are_left_out(
    births: Any, stacks: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = iter(range(0, 10**12, 10**8))  # each look at the clock takes 0.1 s
    monkeypatch.setattr(thread_starts, "time", SimpleNamespace(monotonic_ns=lambda: next(now)))
    starts = ThreadStarts(births, stacks, stacks)
    stacks.of_tids = {tid: (tid, 1) for tid in range(100)}
    starts.begin()
    assert starts.end() == {tid: (tid, 1) for tid in range(4)}


def test_where_births_are_not_reported_stacks_tell(stacks: Any) -> None:
    starts = ThreadStarts(None, stacks, stacks)
    starts.begin()
    starts.observe()
    stacks.of_tids = {7: (70,)}
    assert starts.end() == {7: (70,)}
    assert starts.cost_ns() == 0


def test_where_no_stack_can_be_read_births_tell(births: Any, stacks: Any) -> None:
    stacks.of_tids = {7: (70,)}
    starts = ThreadStarts(births, None, stacks)
    starts.begin()
    births.born = [(4, (50, 0))]
    assert starts.end() == {4: (50, 0)}
