"""What threads wait for, by registers, memory and names that are made here."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from profiler.model.waits import WaitKind
from profiler.process.threads.present_threads import R10, RDI, RDX, RSI, PresentThread
from profiler.unwind.walk import WalkedStack
from profiler.waits.settled import WINDOW_BEFORE, WINDOW_BYTES, Futex, ReadThread
from profiler.waits.threads import Descriptors, Wait, Waits, state_letter

LOCK = 0x7F00_0000_1000
FUTEX, RESTART, READ, WAIT4, POLL = 202, 219, 0, 61, 7
OUTER = {1: 101, 2: 102, 3: 103}


class Memory:
    """The descriptor of a thread at an address: its own address is at 16."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, address: int, _length: int) -> bytes | None:
        is_known = address == self._descriptor + 16
        return self._descriptor.to_bytes(8, "little") if is_known else None


class Names:
    """Stands in for frames."""

    def __init__(self, *names: str, called: str | None = None) -> None:
        self._names = names
        self._called = called

    def called(self, _addresses: object) -> str | None:
        return self._called

    def leading_names(self, _addresses: object) -> tuple[str, ...]:
        return self._names


def read_thread(syscall: int | None = FUTEX, **registers: int) -> ReadThread:
    values: list[int | None] = [0] * 16
    for name, value in registers.items():
        values[{"rdi": RDI, "rsi": RSI, "rdx": RDX, "r10": R10}[name]] = value
    thread = PresentThread(101, 0, tuple(values), 0, False, syscall, 1)
    return ReadThread(thread, WalkedStack((), (), None), None, False)


def on_futex(*words: int, value: int = 2, operation: int = 128, **registers: int) -> ReadThread:
    """Return a thread that waits on a futex at LOCK, which begins with these words."""
    data = bytes(WINDOW_BEFORE) + struct.pack(f"<{len(words)}I", *words)
    futex = Futex(LOCK, value, operation, data.ljust(WINDOW_BYTES, b"\0"))
    return replace(read_thread(**registers), futex=futex)


def wait(one: ReadThread, *names: str, descriptor: int = 0, called: str | None = None) -> Wait:
    descriptors: Any = Descriptors(os.getpid())
    frames: Any = Names(*names, called=called)
    memory: Any = Memory(descriptor)
    return Waits(memory, frames, descriptors, OUTER).of(one)


def test_a_thread_that_runs_or_could_waits_for_nothing() -> None:
    one = read_thread(POLL)
    for change in ({"is_on_cpu": True}, {"state": 0}):
        running: Any = replace(one.thread, **change)
        assert wait(replace(one, thread=running)) == Wait(WaitKind.RUNNING)


def test_a_thread_outside_of_system_calls() -> None:
    assert wait(read_thread(None)).kind is WaitKind.OTHER


def test_a_mutex_and_its_owner() -> None:
    found = wait(on_futex(2, 0, 2, 1, 0), "", "pthread_mutex_lock")
    assert found.kind is WaitKind.MUTEX and found.lock is not None
    assert (found.lock.address, found.lock.owner) == (LOCK, 2)
    assert found.detail == "futex at 0x7f0000001000" and not found.has_timeout


def test_who_has_no_stack_but_waits_where_others_want_a_mutex_wants_it_too() -> None:
    named: Any = on_futex(2, 0, 2, 1, 0)
    ran: Any = on_futex(0, 0, 0, 0, 0, value=2)
    ran = replace(ran, thread=replace(ran.thread, tid=102), moved=True)
    elsewhere = replace(ran, futex=replace(ran.futex, address=LOCK + 64))
    descriptors: Any = Descriptors(os.getpid())
    frames: Any = Names("", "")
    memory: Any = Memory(0)
    waits = Waits(memory, frames, descriptors, OUTER)
    found = waits.of_all([named, ran])
    assert {wait.kind for wait in found.values()} == {WaitKind.MUTEX}
    assert found[102].lock == found[101].lock
    assert waits.of_all([named, elsewhere])[102].kind is WaitKind.FUTEX


def test_a_mutex_for_a_time() -> None:
    assert wait(on_futex(2, 0, 2, 1, 0, r10=0x7000), "", "pthread_mutex_timedlock").has_timeout


def test_a_mutex_by_name_that_is_none_in_memory() -> None:
    found = wait(on_futex(2, 0, 2, 1, 4096), "", "pthread_mutex_lock")
    assert found.kind is WaitKind.FUTEX and found.lock is None


def test_a_mutex_in_a_function_without_a_name() -> None:
    assert wait(on_futex(2, 0, 2, 1, 0), "", "").kind is WaitKind.MUTEX
    # Nobody of that id is there, or it is not what this thread waits for.
    assert wait(on_futex(2, 0, 9, 1, 0), "", "").kind is WaitKind.FUTEX
    assert wait(on_futex(2, 0, 2, 1, 0, value=0), "", "").kind is WaitKind.FUTEX
    assert wait(on_futex(1, 0, 2, 1, 0), "", "").kind is WaitKind.FUTEX


def test_functions_without_a_name_are_known_by_what_their_caller_called() -> None:
    one = on_futex(0, value=0)
    assert wait(one, "", "", called="sem_wait").kind is WaitKind.SEMAPHORE
    assert wait(one, "", "", called="malloc").kind is WaitKind.FUTEX
    assert wait(one, "", "pthread_cond_wait", called="sem_wait").kind is WaitKind.CONDITION
    assert wait(one, called="sem_wait").kind is WaitKind.FUTEX  # of another C library


def test_a_wait_for_a_condition_that_ends_with_its_mutex() -> None:
    assert wait(on_futex(0, value=0), "", "pthread_cond_wait").kind is WaitKind.CONDITION
    assert wait(on_futex(2, 0, 2, 1, 0), "", "pthread_cond_wait").kind is WaitKind.MUTEX


def test_a_rwlock_and_who_writes() -> None:
    # As its word __wrphase_futex, with __readers and __writers before it.
    data = bytes(8) + struct.pack("<10I", 3, 0, 3, 1, 0, 0, 2, 0, 0, 0)
    one = on_futex(value=3)
    assert one.futex is not None
    one = replace(one, futex=replace(one.futex, window=data.ljust(WINDOW_BYTES, b"\0")))
    found = wait(one, "", "pthread_rwlock_rdlock")
    assert found.kind is WaitKind.READ_LOCK and found.lock is not None
    assert (found.lock.address, found.lock.owner) == (LOCK - 8, 2)


def test_the_end_of_a_thread() -> None:
    one = on_futex(3, value=3, operation=0)
    descriptor = LOCK - 720  # its tid is at 720
    found = wait(one, "", "pthread_join", descriptor=descriptor)
    assert (found.kind, found.waits_for) == (WaitKind.JOIN, 103)
    assert wait(one, "", "", descriptor=descriptor).kind is WaitKind.JOIN
    assert wait(one, "", "", descriptor=descriptor + 8).kind is WaitKind.FUTEX
    ended = on_futex(9, value=9, operation=0)
    assert wait(ended, "", "", descriptor=descriptor).kind is WaitKind.FUTEX


@pytest.mark.parametrize(("process", "waits_for"), [(77, 77), (0xFFFFFFFF, None), (0, None)])
def test_a_child(process: int, waits_for: int | None) -> None:
    found = wait(read_thread(WAIT4, rdi=process))
    assert (found.kind, found.waits_for) == (WaitKind.CHILD, waits_for)


def test_what_a_signal_has_interrupted() -> None:
    found = wait(read_thread(RESTART), "poll")
    assert (found.kind, found.has_timeout) == (WaitKind.POLL, True)


def test_what_a_descriptor_is(tmp_path: Path) -> None:
    pipe, other = os.pipe()
    with (tmp_path / "full").open("w") as file:
        numbers = (pipe, file.fileno(), 9999)
        found = [wait(read_thread(READ, rdi=number)).detail for number in numbers]
    os.close(pipe)
    os.close(other)
    names = ("pipe", f"{tmp_path}/full", "unknown")
    assert found == [
        f"read: descriptor {number} ({name})" for number, name in zip(numbers, names, strict=True)
    ]


@pytest.mark.parametrize(
    ("state", "letter"),
    [(0, "R"), (1, "S"), (0x2001, "S"), (2, "D"), (0x102, "D"), (4, "T"), (8, "t"), (32, "Z")],
)
def test_states_as_the_kernel_shows_them(state: int, letter: str) -> None:
    assert state_letter(replace(read_thread().thread, state=state)) == letter
