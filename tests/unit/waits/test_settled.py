"""Threads that run while they are read, and threads that do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.process.threads.present_threads import RDI, RDX, RSI, PresentThread
from profiler.unwind.walk import WalkedStack
from profiler.waits import settled
from profiler.waits.settled import WINDOW_BEFORE, WINDOW_BYTES, Futex, read_settled

FUTEX, FUTEX_WAIT, POLL = 202, 455, 7
LOCK = 0x7F00_0000_1000


class Memory:
    """Zeros everywhere but at odd addresses."""

    def read_many(self, addresses: Sequence[int], length: int) -> list[bytes | None]:
        return [None if address & 1 else bytes(length) for address in addresses]


@pytest.fixture(autouse=True)
def stacks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tids of stacks that were read, in order."""
    seen: list[int] = []

    def read_stacks(_memory: object, threads: Sequence[PresentThread]) -> Any:
        for thread in threads:
            seen.append(thread.tid)
            yield thread, SimpleNamespace(word=None)

    monkeypatch.setattr(settled, "read_stacks", read_stacks)
    monkeypatch.setattr(settled, "walk", lambda *_: WalkedStack((1,), (2,), None))
    return seen


def thread(tid: int, syscall: int | None = POLL, **registers: int) -> PresentThread:
    values: list[int | None] = [None] * 16
    for name, value in registers.items():
        values[{"rdi": RDI, "rsi": RSI, "rdx": RDX}[name]] = value
    return PresentThread(tid, 0x10, tuple(values), 0, False, syscall, 1, 5)


def read(
    *moments: Sequence[PresentThread], before: Sequence[settled.ReadThread] = ()
) -> list[settled.ReadThread]:
    """Read what is there at each of these moments; the last one stays."""
    left = list(moments)
    target: Any = SimpleNamespace(memory=Memory())
    rules: Any = None
    return read_settled(
        lambda: tuple(left.pop(0) if len(left) > 1 else left[0]), target, rules, before
    )


def test_threads_that_rest_are_read_once(stacks: list[int]) -> None:
    found = read([thread(2), thread(1)])
    assert [(one.thread.tid, one.moved) for one in found] == [(1, False), (2, False)]
    assert stacks == [2, 1]


def test_of_who_has_rested_since_the_stack_is_not_read_again(stacks: list[int]) -> None:
    before = read([thread(1), thread(2), thread(3)])
    before[2] = replace(before[2], moved=True)
    ran = replace(thread(2), switches=6)
    found = read([thread(1), ran, thread(3), thread(4)], before=before)
    assert stacks == [1, 2, 3, 2, 3, 4]
    assert [one.stack for one in found] == [before[0].stack] * 4
    assert [one.thread.switches for one in found] == [5, 6, 5, 5]


def test_a_thread_that_ran_is_read_again(stacks: list[int]) -> None:
    ran = replace(thread(1), switches=6)
    found = read([thread(1), thread(2)], [ran, thread(2)])
    assert [(one.thread.switches, one.moved) for one in found] == [(6, False), (5, False)]
    assert stacks == [1, 2, 1]


@pytest.mark.parametrize("change", [{"is_on_cpu": True}, {"state": 0}, {"switches": 6}])
def test_a_thread_that_runs_again_and_again_is_marked(
    stacks: list[int], change: dict[str, Any]
) -> None:
    moments = [[thread(1)], [replace(thread(1), **change)]] * 4
    (found,) = read(*moments)
    assert found.moved
    assert len(stacks) <= 3


def test_since_when_a_thread_has_not_run_is_of_the_last_look() -> None:
    before, after = replace(thread(1), stopped_ns=7), replace(thread(1), stopped_ns=9, switches=6)
    (found,) = read([before], [after], [after])
    assert (found.thread.stopped_ns, found.moved) == (9, False)
    moving = [[replace(before, switches=at, stopped_ns=at)] for at in range(4)]
    (found,) = read(*moving)
    assert (found.thread.stopped_ns, found.moved) == (3, True)


def test_a_thread_that_stays_on_its_cpu_has_no_stack(stacks: list[int]) -> None:
    (found,) = read([replace(thread(1), is_on_cpu=True)])
    assert found.moved and found.stack.frames == () and found.stack.cause == "it runs"
    assert stacks == []


def test_threads_come_and_go(stacks: list[int]) -> None:
    found = read([thread(1), thread(2)], [thread(2), thread(3)])
    assert [(one.thread.tid, one.moved) for one in found] == [(2, False), (3, False)]
    assert stacks == [1, 2, 3]


def test_nothing_is_read_again_when_that_takes_too_long(
    stacks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter((0, 1, 2_000_000_000))
    monkeypatch.setattr(settled, "time", SimpleNamespace(monotonic_ns=lambda: next(times)))
    (found,) = read([thread(1)], [replace(thread(1), switches=6)])
    assert found.moved and stacks == [1]


def test_what_a_thread_waits_on_is_read_with_it() -> None:
    threads = [
        thread(1, FUTEX, rdi=LOCK, rsi=128, rdx=2),
        thread(2, FUTEX_WAIT, rdi=LOCK + 64, rsi=2),
        thread(3, FUTEX, rdi=LOCK + 1, rsi=128, rdx=2),
        thread(4, POLL, rdi=LOCK),
        thread(5, FUTEX),
    ]
    zeros = bytes(WINDOW_BYTES)
    assert [one.futex for one in read(threads)] == [
        Futex(LOCK, 2, 128, zeros, zeros),
        Futex(LOCK + 64, 2, None, zeros, zeros),
        Futex(LOCK + 1, 2, 128, None, None),
        None,
        None,
    ]


def test_what_is_waited_on_is_read_again_when_all_threads_have_been(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    values = iter(range(9))
    monkeypatch.setattr(
        Memory, "read_many", lambda *_: [next(values).to_bytes(1, "little") * WINDOW_BYTES]
    )
    (found,) = read([thread(1, FUTEX, rdi=LOCK, rsi=128, rdx=2)])
    assert found.futex is not None
    assert (found.futex.at(LOCK, 1), found.futex.later_at(LOCK, 1)) == (b"\0", b"\1")


def test_parts_of_what_is_around_a_futex() -> None:
    window = bytes(range(WINDOW_BYTES))
    futex = Futex(LOCK, 2, 128, window)
    assert futex.at(LOCK, 4) == window[WINDOW_BEFORE : WINDOW_BEFORE + 4]
    assert futex.at(LOCK - WINDOW_BEFORE, WINDOW_BYTES) == window
    assert futex.at(LOCK - WINDOW_BEFORE - 1, 4) is None
    assert futex.at(LOCK, WINDOW_BYTES) is None
    assert replace(futex, window=None).at(LOCK, 4) is None
    assert futex.later_at(LOCK, 4) is None
    assert replace(futex, window=None, later=window).later_at(LOCK, 4) == futex.at(LOCK, 4)
