from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.connector import cn_proc

from profiler.linux.netlink import KernelSocket
from profiler.process import events
from profiler.process.events import ProcessEvents, event_filter, is_exec
from profiler.process.procfs import read_process
from profiler.process.target import TargetProcess

SOURCE = r"""
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
static void *body(void *unused) { return unused; }
static void *replace(void *path) { execl(path, "again", NULL); return 0; }
int main(void)
{
    char line[80];
    pthread_t thread;
    setvbuf(stdout, 0, _IOLBF, 0);
    puts("ready");
    while (fgets(line, sizeof line, stdin)) {
        int count = atoi(line + 1);
        if (line[0] == 't')
            for (int i = 0; i < count; i++) {
                pthread_create(&thread, 0, body, 0);
                pthread_join(thread, 0);
            }
        if (line[0] == 'f' && fork() == 0) {
            execl("/bin/true", "true", NULL);
            _exit(1);
        }
        if (line[0] == 'x') replace("/bin/cat");
        if (line[0] == 's') replace("/proc/self/exe");
        if (line[0] == 'o') {
            pthread_create(&thread, 0, replace, "/bin/cat");
            pthread_join(thread, 0);
        }
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
    """The program, and what is told of it."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.expect("ready")
        found = read_process(self.process.pid)
        assert found is not None
        self.events = ProcessEvents(TargetProcess.open(found.pid, found.stat.start_ticks))

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

    def is_over_soon(self) -> bool:
        """Ask for up to 10 s."""
        return any(self.events.is_over() or select.select((), (), (), 0.05)[0] for _ in range(200))

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
    def refuse(pid: int) -> KernelSocket:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(events, "_listen", refuse)
    running = Running(program)
    yield running
    running.close()


@pytest.mark.root
def test_threads_and_children_do_not_end_it(running: Running) -> None:
    assert running.events.warning is None
    running.do("f")
    running.do("t211")
    assert not running.events.is_over()


@pytest.mark.root
@pytest.mark.parametrize("command", ["x", "s", "o"])
def test_exec_of_another_file_of_the_same_and_by_another_thread(
    running: Running, command: str
) -> None:
    running.tell(command)
    assert running.is_over_soon()
    assert running.process.poll() is None


@pytest.mark.root
def test_exit_wakes_who_waits_for_it(running: Running) -> None:
    running.do("t50")
    assert select.select(running.events.exit_filenos(), (), (), 0)[0] == []
    running.tell("e3")
    assert select.select(running.events.exit_filenos(), (), (), 10)[0]
    assert running.events.is_over()


@pytest.mark.root
def test_death_by_a_signal(running: Running) -> None:
    running.process.send_signal(signal.SIGKILL)
    assert running.is_over_soon()


def test_polling_sees_exit(polling: Running) -> None:
    assert polling.events.warning == "process events are polled: Operation not permitted"
    assert not polling.events.is_over()
    polling.tell("e3")
    assert polling.is_over_soon()


@pytest.mark.root
@pytest.mark.parametrize("command", ["x", "s"])
def test_polling_sees_exec_of_another_file_and_of_the_same(polling: Running, command: str) -> None:
    assert not polling.events.is_over()
    polling.tell(command)
    assert polling.is_over_soon()
    assert polling.process.poll() is None


def test_polling_without_pidfd(polling: Running) -> None:
    assert polling.events._pidfd is not None
    os.close(polling.events._pidfd)
    polling.events._pidfd = None
    assert not polling.events.is_over()
    polling.tell("e0")
    assert polling.is_over_soon()


def test_an_unprivileged_user_may_ask() -> None:
    code = (
        "import os\nfrom profiler.process.events import *\nfrom profiler.process.procfs import *\n"
        "from profiler.process.target import TargetProcess\n"
        "own = read_process(os.getpid())\n"
        "with ProcessEvents(TargetProcess.open(own.pid, own.stat.start_ticks)) as events:\n"
        "    print(events.is_over(), len(events.exit_filenos()))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
        group=None if os.getuid() else 65534,
        user=None if os.getuid() else 65534,
    )
    assert result.stdout == "False 1\n"


def run_filter(pid: int, words: dict[int, int]) -> bool:
    """Interpret the filter on a message that has these words at these offsets."""
    at, accumulator = 0, 0
    program = event_filter(pid)
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


@given(KINDS, IDS, IDS)
def test_only_the_exec_of_the_process_passes(what: int, tid: int, pid: int) -> None:
    passes = run_filter(pid, {36: what, 52: tid, 56: pid, 60: pid, 64: pid})
    is_reported = what == cn_proc.PROC_EVENT_EXEC and tid == pid
    assert passes == (is_reported or what == cn_proc.PROC_EVENT_NONE)


@given(st.sampled_from([cn_proc.PROC_EVENT_NONE, cn_proc.PROC_EVENT_EXEC]), IDS)
def test_an_acknowledgement_is_no_exec(what: int, pid: int) -> None:
    size = 36 + 16 + 24
    body = bytearray(size)
    body[0:8] = size.to_bytes(4, sys.byteorder) + (3).to_bytes(2, sys.byteorder) + b"\0\0"
    for offset, number in {36: what, 52: pid, 56: pid}.items():
        body[offset : offset + 4] = number.to_bytes(4, sys.byteorder)
    assert is_exec(bytes(body)) == (what == cn_proc.PROC_EVENT_EXEC)
