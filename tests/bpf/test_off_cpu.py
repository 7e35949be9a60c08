"""Waits as the kernel's programs see them, against threads that measure their own."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from profiler.linux.bpf import enable_program_statistics
from profiler.model import offcpu
from profiler.model.observed_offcpu import ObservedOffCpu
from profiler.model.offcpu import OffCpu, WaitGroup
from profiler.model.quantities import Window
from profiler.model.recording import Frame
from profiler.names.session import NamingSession
from profiler.offcpu.measurement import OffCpuMeasurement
from profiler.process.target import TargetProcess
from profiler.process.threads.present_threads import PresentThreads
from profiler.record.assembly.off_cpu import recorded_off_cpu
from profiler.record.assembly.stacks import StackIndex
from profiler.sampling.sampling_programs import SOURCES
from profiler.windows.budget import Governor
from tests.bpf.unwinding import TestProgram, Unwinding, compile_program, running, unwinding

pytestmark = pytest.mark.root
ROUNDS = 31
LIMIT_S = 240.0  # for machines that do other work
TOLERANCE = 0.05


def lines_before(out: IO[bytes], last: str) -> list[str]:
    lines: list[str] = []
    for line in out:
        if line.decode().strip() == last:
            return lines
        lines.append(line.decode().strip())
    raise AssertionError(f"it ended before it wrote {last!r}")


class Measured:
    """What was measured of a test program, as it is recorded."""

    def __init__(self, program: TestProgram, one: Unwinding, budget: float | None = None) -> None:
        self.process = TargetProcess.open(program.pid, 0)
        self.process.code.refresh()
        self.names = NamingSession(self.process, None)
        self.names.pin()
        self._one = one
        present = PresentThreads(one.module)
        governor = Governor(budget, time.monotonic_ns())
        self.measurement = OffCpuMeasurement(
            one.module, present, self.process, one.library, governor
        )
        self._start_ns = time.monotonic_ns()
        self._frames: tuple[Frame, ...] = ()
        self._index: StackIndex

    def run_until(self, program: TestProgram, last: str) -> list[str]:
        """Measure until the program has written a line; return those before it."""
        assert program.process.stdout is not None
        next_look = 0
        deadline = time.monotonic() + LIMIT_S
        while True:
            assert time.monotonic() < deadline, "the program does not come to its end"
            now = time.monotonic_ns()
            self.measurement.step(now)
            self.measurement.drain()
            self._one.fetch()
            if now > next_look:
                self.measurement.look(now)
                next_look = now + 300_000_000
            if select.select([program.process.stdout], [], [], 0.02)[0]:  # all lines come together
                return lines_before(program.process.stdout, last)

    def finish(self) -> tuple[ObservedOffCpu, OffCpu]:
        observed = self.measurement.finish(time.monotonic_ns())
        self._one.fetch()
        window = Window(self._start_ns, time.monotonic_ns())
        self._index = StackIndex(
            self._one.stacks, self.names.path, self.names.kernel_function, True, True
        )
        recorded = recorded_off_cpu(observed, self._one.stacks, window, self._index, self.names)
        self._frames = self.names.frames(self._index.addresses)
        return observed, recorded

    def functions(self, stack: int | None) -> set[str]:
        """Return the names of the functions in a stack."""
        if stack is None:
            return set()
        frames = (self._frames[at] for at in self._index.stacks[stack].frames)
        return {frame.symbol for frame in frames if frame.symbol}

    def groups(self, recorded: OffCpu, kind: str, function: str) -> list[WaitGroup]:
        return [
            group
            for group in recorded.groups
            if group.kind == kind and function in self.functions(group.stack)
        ]


@contextmanager
def measuring(folder: Path, budget: float | None = None) -> Iterator[tuple[TestProgram, Measured]]:
    path = compile_program(folder, "-O1", source="waits.c")
    with running(path, "-") as program, unwinding(program.pid, *SOURCES) as one:
        time.sleep(0.1)  # until it waits for a line: what begins to wait just now may not be found
        statistics = enable_program_statistics()
        measured = Measured(program, one, budget)
        try:
            yield program, measured
        finally:
            measured.measurement.abort()
            os.close(statistics)


def test_waits_are_as_many_and_as_long_as_threads_say(tmp_path: Path) -> None:
    with measuring(tmp_path) as (program, measured):
        measured.measurement.step(time.monotonic_ns())
        program.go_on()
        lines = measured.run_until(program, "over")
        _, recorded = measured.finish()
        assert len(lines) == 6
        for line in lines:
            kind, function, rounds, total_ns = line.split()
            groups = measured.groups(recorded, kind, function)
            ended = [group.duration_ns for group in groups]
            count, lost = sum(one.count for one in ended), recorded.accounting.lost
            # Some ends are missed where CPUs are busy; they are said to be lost.
            assert int(rounds) - lost <= count <= int(rounds) == ROUNDS, line
            mean_ns = sum(one.total for one in ended) / count
            assert mean_ns == pytest.approx(int(total_ns) / ROUNDS, rel=TOLERANCE)
        assert recorded.accounting.balanced()
        assert recorded.covered_ratio > 0.9
        assert recorded.accounting.lost <= 0.01 * recorded.accounting.fired


def test_a_mutex_is_told_with_who_gave_it_back(tmp_path: Path) -> None:
    with measuring(tmp_path) as (program, measured):
        measured.measurement.step(time.monotonic_ns())
        program.go_on()
        measured.run_until(program, "over")
        _, recorded = measured.finish()
        groups = measured.groups(recorded, offcpu.LOCK, "want_mutex")
        locks = {group.lock for group in groups}
        assert len(locks) == 1
        lock = recorded.locks[locks.pop() or 0]
        assert (lock.kind, lock.place) == ("mutex", f"{program.path.name}: mutex")
        known = [group for group in groups if group.waker == offcpu.BY_THREAD]
        lost = recorded.accounting.lost
        assert sum(group.seen for group in known) >= ROUNDS - 1 - lost  # one may be too soon
        for group in known:
            assert "give_mutex" in measured.functions(group.waker_stack)
            assert "holder" in measured.functions(group.waker_stack)
        rwlocks = {group.lock for group in measured.groups(recorded, offcpu.LOCK, "want_rwlock")}
        assert {recorded.locks[at or 0].place for at in rwlocks} == {f"{program.path.name}: rwlock"}


def test_a_thread_that_is_stuck_is_found_without_any_window(tmp_path: Path) -> None:
    with measuring(tmp_path, budget=1e-9) as (program, measured):
        program.go_on()
        measured.run_until(program, "over")
        _, recorded = measured.finish()
        assert not recorded.groups
        stuck = [
            wait for wait in recorded.long_waits if "want_stuck" in measured.functions(wait.stack)
        ]
        assert len(stuck) == 1
        (wait,) = stuck
        assert (wait.kind, wait.holder_tid, wait.has_ended) == (offcpu.LOCK, program.pid, False)
        assert recorded.locks[wait.lock or 0].place == f"{program.path.name}: stuck"
        assert "main" in measured.functions(wait.holder_stack)
        assert wait.duration_ns > ROUNDS * 20_000_000


def test_one_that_waited_before_is_known_from_its_beginning(tmp_path: Path) -> None:
    with measuring(tmp_path) as (program, measured):
        program.go_on()
        time.sleep(0.3)
        before_ns = time.monotonic_ns()
        measured.run_until(program, "over")
        least_ns = time.monotonic_ns() - before_ns
        _, recorded = measured.finish()
        (group,) = measured.groups(recorded, offcpu.LOCK, "want_stuck")
        assert (group.seen, group.waiting, group.duration_ns.count) == (1, 1, 0)
        assert group.max_ns > least_ns
        assert group.time_ns == pytest.approx(recorded.covered_ns, rel=TOLERANCE)
