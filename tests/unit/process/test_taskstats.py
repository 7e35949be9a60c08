from __future__ import annotations

import os
import struct
import threading

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from profiler.process import taskstats
from profiler.process.taskstats import TaskTimes
from profiler.process.thread_times import ThreadExit


@pytest.fixture
def times() -> TaskTimes:
    return TaskTimes(os.getpid())


@pytest.mark.root
def test_only_ends_of_our_threads_are_reported(times: TaskTimes) -> None:
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

    # Each CPU reports its own: the order is theirs.
    assert {ended.time.tid for ended in exits} == set(tids)
    assert len(exits) == len(tids)
    assert {ended.tgid for ended in exits} == {os.getpid()}
    assert {ended.started_ns for ended in exits} == {None}
    assert times.overflows == 0


@pytest.mark.root
def test_an_unknown_layout_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TaskTimes, "_ask", lambda *_: struct.pack("=100Q", *range(100)))
    with pytest.raises(NotImplementedError, match="unknown layout"):
        TaskTimes(os.getpid())


@pytest.mark.root
def test_a_kernel_without_taskstats(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent:
        def __enter__(self) -> None:
            raise NetlinkError(2, "No such file or directory")

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(taskstats, "TaskStats", Absent)
    with pytest.raises(FileNotFoundError, match="the kernel has no taskstats"):
        TaskTimes(os.getpid())
