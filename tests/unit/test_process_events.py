from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.connector import cn_proc

from profiler import process_events
from profiler.netlink import KernelSocket
from profiler.process import read_process
from profiler.process_events import (
    Exited,
    ProcessEvent,
    ProcessEvents,
    Replaced,
    ThreadEnded,
    ThreadRenamed,
    ThreadStarted,
    decode_messages,
    event_filter,
    event_of,
    read_thread_name,
)

SOURCE = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
static void *body(void *name) { prctl(PR_SET_NAME, name); return 0; }
int main(void)
{
    char line[80];
    setvbuf(stdout, 0, _IOLBF, 0);
    puts("ready");
    while (fgets(line, sizeof line, stdin)) {
        int count = atoi(line + 1);
        if (line[0] == 't')
            for (int i = 0; i < count; i++) {
                pthread_t thread;
                pthread_create(&thread, 0, body, "t\xff");
                pthread_join(thread, 0);
            }
        if (line[0] == 'f' && fork() == 0) _exit(0);
        if (line[0] == 'x') execl("/bin/cat", "cat", "/dev/fd/0", NULL);
        if (line[0] == 's') execl("/proc/self/exe", "again", NULL);
        if (line[0] == 'l') pthread_exit(0);
        if (line[0] == 'e') exit(count);
        puts("done");
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("threads")
    (folder / "threads.c").write_text(SOURCE)
    command = ["gcc", "-O1", "-pthread", "-o", str(folder / "threads"), str(folder / "threads.c")]
    subprocess.run(command, check=True)
    return folder / "threads"


class Running:
    """The program, and its events."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.expect("ready")
        self.pid = self.process.pid
        found = read_process(self.pid)
        assert found is not None
        self.events = ProcessEvents(self.pid, found.stat.start_ticks)
        self.seen: list[ProcessEvent] = []

    def expect(self, line: str) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == line + "\n"

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()

    def do(self, command: str) -> None:
        self.tell(command)
        self.expect("done")

    def read_until(self, enough: Callable[[list[ProcessEvent]], bool]) -> list[ProcessEvent]:
        """Read events until there are enough of them; fails after 10 s."""
        poll = select.poll()
        for descriptor in self.events.filenos():
            poll.register(descriptor, select.POLLIN)
        for _ in range(200):
            self.seen += self.events.read()
            if enough(self.seen):
                return self.seen
            poll.poll(50)
        raise AssertionError(self.seen)

    def close(self) -> None:
        self.events.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def running(program: Path) -> Iterator[Running]:
    running = Running(program)
    yield running
    running.close()


@pytest.fixture
def polling(program: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    def refuse(pid: int, with_threads: bool) -> KernelSocket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(process_events, "_listen", refuse)
    running = Running(program)
    yield running
    running.close()


def count(events: list[ProcessEvent], kind: type[ProcessEvent]) -> int:
    return sum(isinstance(event, kind) for event in events)


@pytest.mark.root
def test_each_of_many_short_threads_is_seen(running: Running) -> None:
    assert running.events.warning is None
    running.do("f")
    running.do("t211")

    seen = running.read_until(lambda events: count(events, ThreadEnded) == 211)

    started = [event.tid for event in seen if isinstance(event, ThreadStarted)]
    assert [event.tid for event in seen if isinstance(event, ThreadEnded)] == started
    assert len(started) == 211
    assert [event for event in seen if isinstance(event, ThreadRenamed)] == [
        ThreadRenamed(tid, "t\ufffd") for tid in started
    ]
    assert running.events.tids == {running.pid}
    assert running.events.overflows == 0
    assert count(seen, Exited) == 0


@pytest.mark.root
def test_exit_with_its_status_comes_last_and_once(running: Running) -> None:
    running.tell("e3")
    seen = running.read_until(lambda events: count(events, Exited) > 0)

    assert seen == [ThreadEnded(running.pid), Exited(3 << 8)]
    assert running.events.read() == ()


@pytest.mark.root
def test_death_by_a_signal(running: Running) -> None:
    running.process.send_signal(signal.SIGKILL)
    seen = running.read_until(lambda events: count(events, Exited) > 0)

    assert seen[-1] == Exited(signal.SIGKILL)


@pytest.mark.root
def test_exec(running: Running) -> None:
    running.tell("x")
    seen = running.read_until(lambda events: Replaced() in events)

    assert count(seen, Exited) == 0
    assert running.events.tids == {running.pid}


@pytest.mark.root
def test_an_overflow_is_counted_and_made_good(running: Running) -> None:
    socket_ = running.events._socket
    assert socket_ is not None
    socket_._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    running.do("t300")
    seen = running.read_until(lambda events: running.events.overflows > 0)

    assert count(seen, ThreadStarted) < 300
    assert running.events.tids == {running.pid}


def test_polling_sees_exit(polling: Running) -> None:
    assert polling.events.warning == "process events are polled: Operation not permitted"
    polling.tell("e3")
    assert polling.read_until(lambda events: count(events, Exited) > 0)[-1] == Exited(None)


@pytest.mark.root
@pytest.mark.parametrize("command", ["x", "s"])
def test_polling_sees_exec_of_another_file_and_of_the_same(polling: Running, command: str) -> None:
    polling.tell(command)
    assert polling.read_until(lambda events: len(events) > 0) == [Replaced()]


def test_polling_without_pidfd(polling: Running) -> None:
    assert polling.events._pidfd is not None
    os.close(polling.events._pidfd)
    polling.events._pidfd = None
    assert polling.events.read() == ()
    polling.tell("e0")
    assert polling.read_until(lambda events: count(events, Exited) > 0)[-1] == Exited(None)


def test_polling_sees_threads_that_live_long_enough() -> None:
    own = read_process(os.getpid())
    assert own is not None
    events = ProcessEvents(os.getpid(), own.stat.start_ticks)
    if events._socket is not None:
        events._socket.close()
        events._socket = None
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    assert events.read() == (ThreadStarted(thread.native_id or 0),)
    assert read_thread_name(os.getpid(), thread.native_id or 0) is not None
    stop.set()
    thread.join()
    while Path(f"/proc/self/task/{thread.native_id}").exists():
        time.sleep(0.001)
    assert events.read() == (ThreadEnded(thread.native_id or 0),)
    assert read_thread_name(os.getpid(), thread.native_id or 0) is None
    events.close()


def test_an_unprivileged_user_polls() -> None:
    code = (
        "import os\nfrom profiler.process_events import *\nfrom profiler.process import *\n"
        "own = read_process(os.getpid())\n"
        "with ProcessEvents(own.pid, own.stat.start_ticks) as events:\n"
        "    print(events.read(), events.warning is None, len(events.filenos()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
        group=None if os.getuid() else 65534,
        user=None if os.getuid() else 65534,
    )
    assert result.stdout in ("() False 1\n", "() True 2\n")  # Linux 6.6 serves everybody


def run_filter(pid: int, words: dict[int, int], with_threads: bool = True) -> bool:
    """Interpret the filter on a message that has these words at these offsets."""
    at, accumulator = 0, 0
    program = event_filter(pid, with_threads)
    while True:
        code, jump_true, jump_false, k = program[at]
        at += 1
        if code == 0x20:
            number = words.get(k, 0)
            accumulator = int.from_bytes(number.to_bytes(4, sys.byteorder), "big")
        elif code == 0x15:
            at += jump_true if accumulator == k else jump_false
        else:
            return k != 0


KINDS = st.sampled_from(sorted(cn_proc.ProcEventMarshal.msg_map))


IDS = st.sampled_from([1, 256, 70000])


@given(KINDS, IDS, IDS, IDS)
def test_the_kernels_filter_keeps_what_we_use(what: int, first: int, second: int, pid: int) -> None:
    words = {36: what, 52: 1, 56: first, 60: pid + 1, 64: second}
    size = 36 + 16 + 24
    body = bytearray(size)
    body[0:8] = size.to_bytes(4, sys.byteorder) + (3).to_bytes(2, sys.byteorder) + b"\0\0"
    for offset, number in words.items():
        body[offset : offset + 4] = number.to_bytes(4, sys.byteorder)
    (message,) = decode_messages(bytes(body))

    assert message["what"] == what
    if event_of(message, pid) is not None:
        assert run_filter(pid, words)
    if what == cn_proc.PROC_EVENT_FORK:
        assert run_filter(pid, words) == (second == pid)
    elif what != cn_proc.PROC_EVENT_NONE:
        assert run_filter(pid, words) == (first == pid)


@given(KINDS, IDS, IDS)
def test_without_threads_only_exec_and_the_main_threads_end_pass(
    what: int, tid: int, pid: int
) -> None:
    passes = run_filter(pid, {36: what, 52: tid, 56: pid, 64: pid}, with_threads=False)
    is_told = what in (cn_proc.PROC_EVENT_EXEC, cn_proc.PROC_EVENT_EXIT) and tid == pid
    assert passes == (is_told or what == cn_proc.PROC_EVENT_NONE)


@pytest.mark.root
def test_without_threads_the_process_is_still_heard_of(running: Running) -> None:
    found = read_process(running.pid)
    assert found is not None
    with ProcessEvents(running.pid, found.stat.start_ticks, with_threads=False) as events:
        assert events.warning is None
        running.do("t50")
        running.tell("s")
        running.expect("ready")
        running.tell("e3")
        seen: list[ProcessEvent] = []
        for _ in range(200):
            seen += events.read()
            if count(seen, Exited):
                break
            select.select(events.exit_filenos(), (), (), 0.05)
    assert seen == [Replaced(), ThreadEnded(running.pid), Exited(3 << 8)]
