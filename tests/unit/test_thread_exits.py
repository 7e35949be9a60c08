from __future__ import annotations

import os
import threading
import time

import pytest

from profiler import thread_exits
from profiler.kernel import BpfModule
from profiler.taskstats import ThreadExit
from profiler.thread_exits import ThreadExits, definitions

pytestmark = pytest.mark.root


def end_threads(count: int) -> None:
    for _ in range(count):
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()


def test_ends_of_our_threads_are_told_with_their_beginnings() -> None:
    before_ns = time.monotonic_ns()
    with BpfModule(("exits.bpf.c",), {"TARGET_TGID": os.getpid(), **definitions()}) as module:
        exits = ThreadExits(module, os.getpid())
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        end_threads(3)
        exits.settle()
        found: list[ThreadExit] = list(exits.read_exits())
        exits.close()
        exits.close()
        end_threads(1)
        exits.settle()
        assert not list(exits.read_exits())
        assert exits.overflows == 0
    assert len(found) == 3
    for ended in found:
        assert ended.tgid == os.getpid()
        assert ended.time.cpu_ns > 0
        assert ended.started_ns is not None
        assert before_ns < ended.started_ns < time.monotonic_ns()


def test_ends_without_room_are_counted() -> None:
    sizes = {"TARGET_TGID": os.getpid(), "EXIT_RING_PAGES": 1}
    with BpfModule(("exits.bpf.c",), {**sizes, **definitions()}) as module:
        exits = ThreadExits(module, os.getpid())
        end_threads(200)
        exits.settle()
        found = list(exits.read_exits())
        assert len(found) + exits.overflows == 200
        assert 0 < len(found) < 200
        exits.close()


def test_a_kernel_that_does_not_tell_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_exits, "offsets", lambda *_: None)
    assert definitions() == {}
