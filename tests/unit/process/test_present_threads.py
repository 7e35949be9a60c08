from __future__ import annotations

import errno
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from profiler.linux import bpf
from profiler.process import present_threads
from profiler.process.present_threads import RECORD, PresentThread, PresentThreads
from tests.programs import present_threads_module


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
    assert [found.sp, found.ip] == [int(word, 16) for word in words[-2:]]


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
def test_threads_without_room_are_left_out() -> None:
    over = threading.Event()
    threads = [threading.Thread(target=over.wait) for _ in range(200)]
    for thread in threads:
        thread.start()
    with present_threads_module(os.getpid(), PRESENT_RING_PAGES=1) as module:
        found = PresentThreads(module).read()
    over.set()
    assert 0 < len(found) < 200


def test_a_kernel_without_these_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(present_threads, "offsets", lambda *_: None)
    assert present_threads.definitions() == {}


class Kernel:
    """Stands in for the module, its ring, and an iterator that fails after one thread."""

    descriptor = 3

    def ring_buffer(self, _name: str) -> Kernel:
        return self

    def load(self, *_: object) -> Kernel:
        return self

    def drain(self) -> list[bytes]:
        return [RECORD.pack(1, 2, 3, 4, 5, 0)]


@pytest.mark.parametrize("error", [errno.ENOMEM, errno.EMFILE, errno.EPERM, errno.EAGAIN])
def test_what_was_seen_until_the_kernel_refused_is_returned(
    monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    def refuse(_program: int) -> None:
        raise OSError(error, os.strerror(error))

    kernel: Any = Kernel()
    monkeypatch.setattr(present_threads, "function_ids", lambda _: {})
    monkeypatch.setattr(bpf, "iterate", refuse)
    assert PresentThreads(kernel).read() == (PresentThread(5, 1, 2, 3, 4, False),)
