from __future__ import annotations

import os
import struct
import threading

import pytest

from profiler import taskstats
from profiler.process import read_tids
from profiler.taskstats import TaskTimes, ThreadExit
from profiler.thread_use import read_switches


@pytest.fixture
def times() -> TaskTimes:
    return TaskTimes()


@pytest.mark.root
def test_a_thread_that_is_gone(times: TaskTimes) -> None:
    with pytest.raises(ProcessLookupError):
        times.thread(2**22 + 1)
    times.close()


@pytest.mark.root
def test_process_time_is_the_sum_of_its_threads(times: TaskTimes) -> None:
    before_ns = times.process_cpu_ns(os.getpid())
    threads_ns = sum(times.thread(tid).cpu_ns for tid in read_tids(os.getpid()))
    after_ns = times.process_cpu_ns(os.getpid())
    times.close()
    assert 0 < threads_ns <= after_ns
    assert before_ns <= after_ns


@pytest.mark.root
def test_switches_are_those_of_proc(times: TaskTimes) -> None:
    def by_proc() -> int:
        return sum(read_switches(os.getpid(), tid) for tid in read_tids(os.getpid()))

    for _ in range(10):
        threading.Event().wait(0.001)
    before = by_proc()
    found = times.switches(os.getpid())
    times.close()
    assert 10 <= before <= found <= by_proc()


@pytest.mark.root
def test_only_ends_of_our_threads_are_heard(times: TaskTimes) -> None:
    times.listen(os.getpid())
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
    tids = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        tids.append(thread.native_id)
    exits: list[ThreadExit] = []
    for _ in range(1000):
        exits += times.read_exits()
        if len(exits) >= 3:
            break
        threading.Event().wait(0.005)
    times.close()

    assert [ended.time.tid for ended in exits] == tids
    assert {ended.tgid for ended in exits} == {os.getpid()}
    assert {ended.process_cpu_ns for ended in exits} == {None}
    assert times.overflows == 0


@pytest.mark.root
def test_an_unknown_layout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskTimes, "_ask", lambda *_: struct.pack("=100Q", *range(100)))
    with pytest.raises(NotImplementedError, match="unknown layout"):
        TaskTimes()


@pytest.mark.root
def test_a_kernel_without_taskstats(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        def __enter__(self) -> None:
            raise taskstats.NetlinkError(2, "No such file or directory")

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(taskstats, "TaskStats", Absent)
    with pytest.raises(FileNotFoundError, match="the kernel has no taskstats"):
        TaskTimes()
