from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from profiler import cpus, sampling
from profiler.errors import KernelError, TargetError
from profiler.kernel import BpfModule, Program
from profiler.sampling import CpuSampler, has_task_registers
from profiler.syscalls import VerifierError
from profiler.taskstats import ThreadTime

PERIOD_NS = 10_000_000


class Threads:
    """A process whose threads come and go, and the events that are opened on them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *scans: list[int]) -> None:
        self.scans = list(scans)
        self.opened: list[int] = []
        self.cpus: list[int] = []
        self.cpu_ns: dict[int, int] = {}
        self.error: OSError | None = None
        monkeypatch.setattr(sampling, "read_tids", self.read)
        monkeypatch.setattr(sampling, "read_schedstat", self.used)
        monkeypatch.setattr(sampling.syscalls, "open_cpu_clock", self.open)
        monkeypatch.setattr(sampling.syscalls, "open_cpu_clock_on", self.open_on)
        monkeypatch.setattr(sampling.syscalls, "run_program_on", lambda event, program: None)
        self.sampler = CpuSampler.__new__(CpuSampler)
        self.sampler._pid = 1
        self.sampler._period_ns = PERIOD_NS
        self.sampler._program = SimpleNamespace(descriptor=0)  # type: ignore[assignment]
        self.sampler._events = []
        self.closed: list[int] = []
        monkeypatch.setattr(sampling.os, "close", self.closed.append)
        self.sampler.sampled_tids = set()
        self.sampler.watched_tids = set()
        self.sampler.warning = None

    def read(self, pid: int) -> list[int]:
        return self.scans.pop(0) if len(self.scans) > 1 else self.scans[0]

    def used(self, pid: int, tid: int) -> ThreadTime | None:
        return ThreadTime(tid, "", self.cpu_ns[tid], 0) if tid in self.cpu_ns else None

    def open(self, tid: int, period_ns: int, inherit: bool) -> int:
        if self.error is not None:
            raise self.error
        assert (period_ns, inherit) == (PERIOD_NS, True)
        self.opened.append(tid)
        return 1000 + tid

    def open_on(self, cpu: int, period_ns: int) -> int:
        if self.error is not None:
            raise self.error
        assert period_ns == PERIOD_NS
        self.cpus.append(cpu)
        return 2000 + cpu


def test_every_thread_gets_an_event_that_its_children_inherit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = Threads(monkeypatch, [1, 2, 3])
    threads.sampler.attach()
    assert threads.opened == [1, 2, 3]
    assert threads.sampler.watched_tids == set()


def test_threads_born_meanwhile_are_watched_and_only_the_missed_get_an_event(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads = Threads(monkeypatch, [1], [1, 7, 8, 9])
    threads.sampler.attach()
    assert threads.sampler.watched_tids == {7, 8, 9}
    threads.sampler.sampled_tids = {7}
    threads.cpu_ns = {8: 3 * PERIOD_NS, 9: 3 * PERIOD_NS + 1}
    threads.sampler.attach_missed()
    assert threads.opened == [1, 9]
    assert threads.sampler.watched_tids == {8}
    threads.cpu_ns[8] += 1
    threads.sampler.attach_missed()
    threads.sampler.attach_missed()
    assert threads.opened == [1, 9, 8]


def test_what_is_refused_later_does_not_end_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = Threads(monkeypatch, [1], [1, 7, 8])
    threads.sampler.attach()
    threads.cpu_ns = {7: 100 * PERIOD_NS, 8: 100 * PERIOD_NS}
    threads.error = OSError(24, "Too many open files")
    for _ in range(2):
        threads.sampler.attach_missed()
    assert threads.sampler.watched_tids == set()
    assert threads.sampler.warning == (
        "some threads have no samples: too many threads to sample: 1 events are open"
    )
    threads.sampler.detach()
    assert threads.closed == [1001]


def test_a_process_without_threads_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TargetError, match="has ended") as ended:
        Threads(monkeypatch, []).sampler.attach()
    assert ended.value.hint == "pgrep -a asterisk"


@pytest.mark.parametrize(
    ("number", "message"), [(24, "too many threads to sample"), (1, "cannot sample thread 1")]
)
def test_events_that_cannot_be_opened(
    monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    threads = Threads(monkeypatch, [1])
    threads.error = OSError(number, "no")
    with pytest.raises(KernelError, match=message) as refused:
        threads.sampler.attach()
    assert refused.value.hint


def test_threads_that_are_gone_by_then_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = Threads(monkeypatch, [1])
    threads.error = OSError(3, "No such process")
    with pytest.raises(TargetError):
        threads.sampler.attach()


def test_each_cpu_gets_an_event_in_place_of_each_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    online = tmp_path / "online"
    online.write_text("0-1,4\n")
    monkeypatch.setattr(cpus, "_ONLINE", online)
    threads = Threads(monkeypatch, [1], [1, 7])
    threads.sampler.attach()
    threads.sampler.change_to_cpus()
    assert threads.cpus == [0, 1, 4]
    assert threads.closed == [1001]
    assert threads.sampler.by_cpu
    threads.cpu_ns[7] = 100 * PERIOD_NS
    threads.sampler.attach_missed()
    assert threads.opened == [1]
    threads.sampler.detach()
    assert threads.closed == [1001, 2000, 2001, 2004]


def test_cpus_that_go_offline_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = Threads(monkeypatch, [1])
    threads.error = OSError(19, "No such device")
    threads.sampler.attach(by_cpu=True)
    assert threads.sampler._events == []


def test_where_cpus_are_refused_threads_keep_their_events(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = Threads(monkeypatch, [1, 2])
    threads.sampler.attach()
    threads.error = OSError(1, "no")
    with pytest.raises(KernelError, match="cannot sample CPU 0"):
        threads.sampler.change_to_cpus()
    assert not threads.sampler.by_cpu
    assert threads.closed == []
    threads.sampler.detach()
    assert threads.closed == [1001, 1002]


def test_kernels_without_the_registers_of_tasks_are_told_by_trying(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(*_: object) -> int:
        raise VerifierError(errno.EINVAL, "invalid func unknown#175")

    monkeypatch.setattr(sampling.syscalls, "load_program", load)
    assert not has_task_registers()


def test_the_trial_of_registers_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    monkeypatch.setattr(sampling.syscalls, "load_program", lambda *_: reading)
    assert has_task_registers()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)


class Refusing:
    """A module whose programs the verifier does not like."""

    def load(self, name: str, program_type: int) -> Program:
        raise VerifierError(errno.EACCES, "")


def test_a_program_that_the_kernel_refuses_is_an_error_of_the_kernel() -> None:
    with pytest.raises(KernelError, match="program that samples: Permission denied") as refused:
        CpuSampler(cast(BpfModule, Refusing()), 1, 99.0)
    assert refused.value.hint == "ebpf-prof doctor"
