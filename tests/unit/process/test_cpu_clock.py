from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiler.process.cpu_clock import ProcessClock
from tests.compiled import build

MS = 1_000_000
BUSY = "int main(void) { for (volatile long i = 0;; i++); }"


@pytest.fixture
def busy(tmp_path: Path) -> Iterator[int]:
    with subprocess.Popen([build(tmp_path, BUSY)]) as process:
        yield process.pid
        process.kill()


def test_our_own_clock_is_the_process_time() -> None:
    clock = ProcessClock(os.getpid())
    before = time.process_time_ns()
    found = clock.read_ns()
    assert before - 20 * MS < found < time.process_time_ns() + 20 * MS


def test_exact_readings_are_in_order_with_plain_ones(busy: int) -> None:
    clock, allowed = ProcessClock(busy), os.sched_getaffinity(0)
    found: list[int] = []
    for _ in range(60):
        found += clock.read_ns(), clock.read_exactly_ns()
    assert found == sorted(found)
    assert os.sched_getaffinity(0) == allowed


def test_a_process_that_ended_keeps_its_last_reading(tmp_path: Path) -> None:
    with subprocess.Popen([build(tmp_path, BUSY)]) as process:
        clock = ProcessClock(process.pid)
        time.sleep(0.05)
        used = clock.read_exactly_ns()
        process.kill()
    assert used > 0
    assert clock.read_ns() == clock.read_exactly_ns() == used


def test_with_many_cpus_none_is_visited(monkeypatch: pytest.MonkeyPatch) -> None:
    visited: list[object] = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(33)))
    monkeypatch.setattr(os, "sched_setaffinity", lambda _pid, cpus: visited.append(cpus))
    assert ProcessClock(os.getpid()).read_exactly_ns() > 0
    assert visited == []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {4, 7})
    assert ProcessClock(os.getpid()).read_exactly_ns() > 0
    assert visited == [(4,), (7,), {4, 7}]
