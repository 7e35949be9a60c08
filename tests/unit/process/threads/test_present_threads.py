from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from profiler.linux import bpf
from profiler.process.threads import present_threads
from profiler.process.threads.present_threads import (
    R8,
    R9,
    R10,
    RDI,
    RDX,
    RECORD,
    RSI,
    RSP,
    PresentThread,
    PresentThreads,
)
from tests.programs import present_threads_module

INTERRUPTIBLE = 1  # TASK_INTERRUPTIBLE, include/linux/sched.h
TICK_NS = 20_000_000  # of the clock that /proc tells beginnings by, and a bit


@pytest.fixture
def sleeping() -> Iterator[int]:
    """The pid of a process that sleeps."""
    with subprocess.Popen(["sleep", "100"]) as process:
        while Path(f"/proc/{process.pid}/wchan").read_text() == "0":
            pass
        yield process.pid
        process.send_signal(signal.SIGKILL)


@pytest.mark.root
def test_registers_are_those_that_proc_shows(sleeping: int) -> None:
    with present_threads_module(sleeping) as module:
        (found,) = PresentThreads(module).read()
    while (words := Path(f"/proc/{sleeping}/syscall").read_text().split()) == ["running"]:
        pass
    assert found.tid == sleeping
    registers = (RDI, RSI, RDX, R10, R8, R9, RSP)
    assert found.syscall == int(words[0])
    assert [*(found.registers[n] for n in registers), found.ip] == [
        int(word, 16) for word in words[1:]
    ]
    assert (found.name, found.state & INTERRUPTIBLE) == ("sleep", INTERRUPTIBLE)


@pytest.mark.root
def test_how_long_a_thread_has_not_run(sleeping: int) -> None:
    seen_ns = time.monotonic_ns()
    with present_threads_module(sleeping) as module:
        reader = PresentThreads(module)
        (first,), (second,) = reader.read(), reader.read()
    slept_ns = float(Path(f"/proc/{sleeping}/stat").read_text().rsplit(")")[1].split()[19]) * 1e7
    assert first.stopped_ns is not None and second.stopped_ns is not None
    assert slept_ns - TICK_NS < first.stopped_ns < seen_ns + TICK_NS
    assert abs(first.stopped_ns - second.stopped_ns) < TICK_NS
    assert first.switches == second.switches


@pytest.mark.root
def test_a_thread_that_ran_has_left_a_cpu_once_more() -> None:
    turn, over = threading.Event(), threading.Event()

    def wait() -> None:
        turn.wait()
        over.wait()

    thread = threading.Thread(target=wait)
    thread.start()
    with present_threads_module(os.getpid()) as module:
        reader = PresentThreads(module)
        counts = []
        for event in (turn, over):
            while (found := by_tid(reader)[thread.native_id or 0]).is_on_cpu or not found.state:
                pass
            counts.append(found)
            event.set()
            if event is turn:
                while by_tid(reader)[thread.native_id or 0].switches == found.switches:
                    pass
    first, second = counts
    assert second.switches > first.switches
    assert first.stopped_ns is not None and second.stopped_ns is not None
    assert second.stopped_ns > first.stopped_ns


def by_tid(reader: PresentThreads) -> dict[int, PresentThread]:
    return {one.tid: one for one in reader.read()}


@pytest.mark.root
def test_who_reads_is_on_a_cpu_and_threads_that_wait_are_not() -> None:
    over = threading.Event()
    threads = [threading.Thread(target=over.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    with present_threads_module(os.getpid()) as module:
        reader = PresentThreads(module)
        while True:
            found = {one.tid: one for one in reader.read()}
            waiting = [found[thread.native_id or 0] for thread in threads]
            assert found[threading.get_native_id()].is_on_cpu
            if not any(one.is_on_cpu for one in waiting):
                break
    over.set()
    assert len({one.fs_base for one in waiting}) == len(threads)


@pytest.mark.root
def test_no_thread_is_left_out() -> None:
    over = threading.Event()
    threads = [threading.Thread(target=over.wait) for _ in range(500)]
    for thread in threads:
        thread.start()
    with present_threads_module(os.getpid()) as module:
        found = by_tid(PresentThreads(module))
    over.set()
    assert found.keys() >= {thread.native_id for thread in threads}


def test_a_kernel_without_these_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present_threads, "offsets", lambda *_: None)
    assert present_threads.definitions() == {}


class Kernel:
    """Stands in for the module and its program."""

    descriptor = 3

    def load(self, *_: object) -> Kernel:
        return self


def row(tid: int = 5, **values: int) -> bytes:
    """Return what the kernel says of a thread."""
    registers = [0] * 21
    registers[15] = values.get("orig_ax", 202)
    registers[16] = 0x1000
    return RECORD.pack(
        *registers,
        4,
        values.get("now", 5_000_000),
        values.get("reader_arrived", 4_000_000),
        values.get("arrived", 1_000_000),
        values.get("ran", 700),
        values.get("ran_before", 200),
        *(3, 4),
        tid,
        values.get("on_cpu", 0),
        1,
        values.get("priority", 120),
        b"pbx\xff\0rest",
    )


def read_rows(monkeypatch: pytest.MonkeyPatch, *parts: bytes) -> tuple[PresentThread, ...]:
    kernel: Any = Kernel()
    monkeypatch.setattr(present_threads, "function_ids", lambda _: {})
    monkeypatch.setattr(bpf, "iterate", lambda _program: iter(parts))
    return PresentThreads(kernel).read()


def test_records_may_be_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    data = row(5) + row(6)
    found = read_rows(monkeypatch, data[:100], data[100:300], data[300:])
    assert [one.tid for one in found] == [5, 6]
    assert found[0].name == "pbx\ufffd"
    assert found[0].switches == 7


def test_the_schedulers_clock_is_told_by_who_read_soonest_after_it_came_onto_a_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    later = row(6, now=9_000_000, reader_arrived=8_500_000)
    found = read_rows(monkeypatch, row(5) + later)
    assert found[0].stopped_ns == 1_000_000 + 500_000 + 500


@pytest.mark.parametrize(
    ("values", "stopped_ns"),
    [
        ({}, 2_000_500),
        ({"priority": 49}, 2_000_000),  # realtime: what it ran last is not known
        ({"arrived": 0}, None),
        ({"on_cpu": 1}, None),
        ({"ran": 90_000_000}, 5_000_000),  # not later than now
        ({"ran_before": 900}, 2_000_000),
    ],
)
def test_when_a_thread_left_its_cpu(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, int], stopped_ns: int | None
) -> None:
    (found,) = read_rows(monkeypatch, row(**values))
    assert found.stopped_ns == stopped_ns


def test_a_thread_outside_of_system_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = read_rows(monkeypatch, row(orig_ax=(1 << 64) - 1))
    assert found.syscall is None


@pytest.mark.parametrize("error", [errno.ENOMEM, errno.EMFILE, errno.EPERM, errno.EAGAIN])
def test_what_was_seen_until_the_kernel_refused_is_returned(
    monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(_program: int) -> Iterator[bytes]:
        yield row(5) + row(6)[:50]
        raise OSError(error, os.strerror(error))

    kernel: Any = Kernel()
    monkeypatch.setattr(present_threads, "function_ids", lambda _: {})
    monkeypatch.setattr(bpf, "iterate", refuse)
    assert [one.tid for one in PresentThreads(kernel).read()] == [5]
