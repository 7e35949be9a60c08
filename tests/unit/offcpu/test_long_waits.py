"""Long waits by made-up threads; tests/bpf/test_off_cpu.py finds a real one, and its stack."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from profiler.model.waits import LockKind
from profiler.offcpu import long_waits
from profiler.offcpu.locks import SeenLocks
from profiler.offcpu.long_waits import LONG_NS, LongWaits, is_mutex_wait
from profiler.process.threads.present_threads import RDI, RDX, RSI, PresentThread

NOW = 10_000_000_000
MUTEX = 0x7F00


def thread(
    tid: int, stopped_ns: int = NOW - LONG_NS, value: int = 2, **others: Any
) -> PresentThread:
    registers: list[int | None] = [0] * 16
    registers[RDI], registers[RSI], registers[RDX] = MUTEX, 128, value
    made = PresentThread(tid, 0x100, tuple(registers), 0, is_on_cpu=False)
    return replace(made, syscall=202, state=1, switches=5, stopped_ns=stopped_ns, **others)


class Locks:
    """Thread 9 has every mutex."""

    def __init__(self) -> None:
        self.noted: list[tuple[LockKind, tuple[int, ...]]] = []

    def note(self, kind: LockKind, futexes: Any) -> None:
        self.noted.append((kind, tuple(futexes)))

    def owner(self, _: int) -> int:
        return 9


class Looks:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.threads: list[PresentThread] = []
        monkeypatch.setattr(long_waits, "read_stacks", lambda _, threads: [])
        monkeypatch.setattr(long_waits, "outer_tids", lambda _, tids: {tid: tid for tid in tids})
        target: Any = SimpleNamespace(pid=1, memory=None)
        self.locks = Locks()
        rules: Any = None
        self.waits = LongWaits(
            lambda: tuple(self.threads), target, rules, cast("SeenLocks", self.locks)
        )

    def at(self, now_ns: int, *threads: PresentThread) -> None:
        self.threads = list(threads)
        self.waits.look(now_ns)


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    return Looks(monkeypatch)


def test_a_long_wait_is_followed_to_its_end(looks: Looks) -> None:
    looks.at(NOW, thread(3), thread(9, stopped_ns=NOW - 1))
    looks.at(NOW + 1_000, thread(3), thread(9))
    (wait, *_) = looks.waits.all()
    assert (wait.tid, wait.since_ns, wait.until_ns) == (3, NOW - LONG_NS, NOW + 1_000)
    assert (wait.has_ended, wait.holder_tid) == (False, 9)
    looks.at(NOW + 2_000, replace(thread(3), switches=6))
    (wait, *_) = looks.waits.all()
    assert (wait.has_ended, wait.until_ns) == (True, NOW + 1_000)
    assert (LockKind.MUTEX, (MUTEX,)) in looks.locks.noted


@pytest.mark.parametrize(
    "short",
    [
        thread(3, stopped_ns=NOW - LONG_NS + 1),
        replace(thread(3), is_on_cpu=True),
        replace(thread(3), state=0),
        replace(thread(3), stopped_ns=None),
    ],
)
def test_who_runs_or_ran_just_now_does_not_wait_long(looks: Looks, short: PresentThread) -> None:
    looks.at(NOW, short)
    assert looks.waits.all() == ()


def test_locks_come_first_where_there_is_no_room_for_all(
    looks: Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_waits, "_STACKS_AT_ONCE", 1)
    looks.at(NOW, thread(3, value=0), thread(4))
    assert [wait.tid for wait in looks.waits.all()] == [4]
    looks.at(NOW + 1, thread(3, value=0), thread(4))
    assert [wait.tid for wait in looks.waits.all()] == [3, 4]


def test_a_mutex_is_waited_for_in_a_futex_call_alone() -> None:
    assert is_mutex_wait(thread(3))
    assert not is_mutex_wait(thread(3, value=0))
    assert not is_mutex_wait(replace(thread(3), syscall=7))
