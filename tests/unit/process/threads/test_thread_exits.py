from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from profiler.process.threads import thread_exits
from profiler.process.threads.thread_exits import ThreadExit, ThreadExits
from tests.programs import exits_module

pytestmark = pytest.mark.root


def end_threads(count: int) -> None:
    for _ in range(count):
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()


def test_ends_of_our_threads_are_reported_with_their_beginnings() -> None:
    before_ns = time.monotonic_ns()
    with exits_module(os.getpid()) as module:
        exits = ThreadExits(module)
        os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)
        end_threads(3)
        found: list[ThreadExit] = list(exits.read_last_exits())
        exits.close()
        exits.close()
        end_threads(1)
        assert not list(exits.read_last_exits())
    assert len(found) == 3
    for ended in found:
        assert ended.time.cpu_ns > 0
        assert before_ns < ended.started_ns < time.monotonic_ns()


def test_ends_without_room_are_counted() -> None:
    with exits_module(os.getpid(), EXIT_RING_PAGES=1) as module:
        exits = ThreadExits(module)
        end_threads(10)
        assert exits.lost() == 0
        end_threads(200)
        found = list(exits.read_last_exits())
        assert 0 < len(found) < 200
        assert exits.lost() > 0
        exits.close()


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ThreadExits, list[bytes]]]:
    """Exits of what is in the list."""
    records: list[bytes] = []

    class Ring:
        def drain(self) -> list[bytes]:
            found, records[:] = list(records), []
            return found

    monkeypatch.setattr(thread_exits, "_CALLBACKS_S", 0)
    with exits_module(1) as module:
        exits = ThreadExits(module)
        exits._ring = Ring()  # type: ignore[assignment]
        yield exits, records
        exits.close()


def record(tid: int, cpu_ns: int, is_freed: bool, started_ns: int = 5) -> bytes:
    return thread_exits.RECORD.pack(cpu_ns, 0, started_ns, tid, is_freed, b"n\xff")


def reported(found: Iterator[ThreadExit]) -> list[tuple[int, int]]:
    return [(ended.time.tid, ended.time.cpu_ns) for ended in found]


def test_a_thread_is_reported_when_it_is_freed_and_at_last_as_it_ended(
    scripted: tuple[ThreadExits, list[bytes]],
) -> None:
    exits, records = scripted
    records += record(7, 10, False), record(8, 20, False), record(7, 15, True), record(9, 1, True)
    assert reported(exits.read_exits()) == [(7, 15)]
    records += record(7, 3, False, started_ns=6), record(7, 16, True), record(7, 4, True, 6)
    assert reported(exits.read_last_exits()) == [(7, 4), (8, 20)]
    assert reported(exits.read_last_exits()) == []


def test_not_too_many_wait(
    scripted: tuple[ThreadExits, list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thread_exits, "_MOST_WAITING", 2)
    exits, records = scripted
    records += (record(tid, 10, False) for tid in (1, 2, 3))
    assert reported(exits.read_exits()) == [(1, 10)]
    records += record(1, 15, True), record(3, 15, True)
    assert reported(exits.read_exits()) == [(3, 15)]


def test_a_kernel_without_these_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_exits, "offsets", lambda *_: None)
    assert thread_exits.definitions() == {}
