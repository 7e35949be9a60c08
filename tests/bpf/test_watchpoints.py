from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiler import syscalls
from profiler.kernel import Program
from profiler.watchpoints import CpuWatchpoints, ThreadWatchpoint, hit_cost_ns

pytestmark = pytest.mark.root

RETURN_0 = bytes.fromhex("b700000000000000 9500000000000000")


class Toucher:
    """A thread that touches a word when it is told to, and ends."""

    def __init__(self, word: ctypes.c_uint64, times: int) -> None:
        self._word = word
        self._times = times
        self._ready = threading.Event()
        self._told = threading.Event()
        self._done = threading.Event()
        self._may_end = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(10)
        self.tid = self._thread.native_id or 0

    def _run(self) -> None:
        self._ready.set()
        self._told.wait(10)
        touch(self._word, self._times)
        self._done.set()
        self._may_end.wait(10)

    def touch(self) -> None:
        self._told.set()
        assert self._done.wait(10)

    def end(self) -> None:
        self._told.set()
        self._may_end.set()
        self._thread.join()


def touch(word: ctypes.c_uint64, times: int) -> None:
    for _ in range(times):
        word.value  # noqa: B018  # reading it is the point


@pytest.fixture
def word() -> ctypes.c_uint64:
    return ctypes.c_uint64()


@pytest.fixture
def toucher(word: ctypes.c_uint64) -> Iterator[Toucher]:
    toucher = Toucher(word, 53)
    yield toucher
    toucher.end()


@pytest.fixture
def program() -> Iterator[Program]:
    descriptor = syscalls.load_program(
        RETURN_0, syscalls.PROG_PERF_EVENT, syscalls.ATTACH_NONE, "watched"
    )
    program = Program("watched", descriptor, syscalls.PROG_PERF_EVENT)
    yield program
    program.close()


@pytest.fixture
def counted() -> Iterator[None]:
    descriptor = syscalls.enable_program_statistics()
    yield
    os.close(descriptor)


def open_files() -> list[str]:
    return sorted(entry.name for entry in Path("/proc/self/fd").iterdir())


@pytest.mark.timed
def test_what_a_hit_costs() -> None:
    before = open_files()
    assert 0 < hit_cost_ns() < 100_000
    assert open_files() == before


@pytest.mark.parametrize("times", [0, 1, 97])
def test_each_touch_of_the_thread_is_counted(word: ctypes.c_uint64, times: int) -> None:
    touch(word, 3)
    watchpoint = ThreadWatchpoint(ctypes.addressof(word), threading.get_native_id())
    touch(word, times)
    followed, running_ns = watchpoint.close()
    touch(word, 3)
    assert followed == times
    assert running_ns > 0


def test_writing_is_touching_too(word: ctypes.c_uint64) -> None:
    watchpoint = ThreadWatchpoint(ctypes.addressof(word), threading.get_native_id())
    ctypes.memset(ctypes.addressof(word), 5, 1)
    assert watchpoint.close()[0] == 1


def test_touches_of_other_threads_are_not_counted(word: ctypes.c_uint64, toucher: Toucher) -> None:
    watchpoint = ThreadWatchpoint(ctypes.addressof(word), threading.get_native_id())
    toucher.touch()
    assert watchpoint.close()[0] == 0


def test_another_thread_is_watched(word: ctypes.c_uint64, toucher: Toucher) -> None:
    watchpoint = ThreadWatchpoint(ctypes.addressof(word), toucher.tid)
    touch(word, 7)
    toucher.touch()
    assert watchpoint.close()[0] == 53


def test_other_words_may_be_touched(word: ctypes.c_uint64) -> None:
    words = (ctypes.c_uint64 * 3)()
    middle = ctypes.addressof(words) + 8
    watchpoint = ThreadWatchpoint(middle, threading.get_native_id())
    for _ in range(5):
        _ = words[0], words[2]
    assert watchpoint.close()[0] == 0


def test_a_thread_that_ends_meanwhile_was_watched_until_then(
    word: ctypes.c_uint64, toucher: Toucher
) -> None:
    watchpoint = ThreadWatchpoint(ctypes.addressof(word), toucher.tid)
    toucher.touch()
    toucher.end()
    followed, running_ns = watchpoint.close()
    assert followed == 53
    assert running_ns > 0


def test_a_thread_that_has_ended_cannot_be_watched(word: ctypes.c_uint64) -> None:
    # A thread that was joined may still be there for the kernel.
    with subprocess.Popen(["true"]) as child:
        child.wait()
    with pytest.raises(OSError) as refused:
        ThreadWatchpoint(ctypes.addressof(word), child.pid)
    assert refused.value.errno == errno.ESRCH


def test_an_address_that_eight_does_not_divide_is_refused(
    word: ctypes.c_uint64, program: Program
) -> None:
    before = open_files()
    with pytest.raises(OSError, match="Invalid argument"):
        ThreadWatchpoint(ctypes.addressof(word) + 4, threading.get_native_id())
    with pytest.raises(OSError, match="Invalid argument"):
        CpuWatchpoints(ctypes.addressof(word) + 4, program)
    assert open_files() == before


def test_a_program_runs_on_each_touch_while_it_is_on(
    word: ctypes.c_uint64, toucher: Toucher, program: Program, counted: None
) -> None:
    before = open_files()
    watchpoints = CpuWatchpoints(ctypes.addressof(word), program)
    touch(word, 11)
    assert program.statistics().run_count == 0
    watchpoints.turn_on()
    touch(word, 13)
    toucher.touch()
    assert watchpoints.turn_off() == 13 + 53
    touch(word, 17)
    assert program.statistics().run_count == 13 + 53
    watchpoints.turn_on()
    touch(word, 19)
    assert watchpoints.turn_off() == 19
    watchpoints.turn_on()
    touch(word, 20)
    watchpoints.close()
    touch(word, 23)
    assert program.statistics().run_count == 13 + 53 + 19 + 20
    assert open_files() == before


def test_a_program_runs_on_all_of_many_touches(
    word: ctypes.c_uint64, program: Program, counted: None
) -> None:
    """More in a second than perf_event_max_sample_rate allows samples."""
    watchpoints = CpuWatchpoints(ctypes.addressof(word), program)
    watchpoints.turn_on()
    touch(word, 20_000)
    assert watchpoints.turn_off() == program.statistics().run_count == 20_000
    watchpoints.close()


def test_a_program_that_cannot_run_there_leaves_nothing_open(word: ctypes.c_uint64) -> None:
    before = open_files()
    reading, writing = os.pipe()
    try:
        with pytest.raises(OSError, match="Invalid argument"):
            CpuWatchpoints(ctypes.addressof(word), Program("none", reading, 0))
    finally:
        os.close(reading)
        os.close(writing)
    assert open_files() == before
