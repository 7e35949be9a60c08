from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiler.errors import KernelError, TargetError
from profiler.process.events import ProcessEvents
from tests.compiled import build

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
    return build(tmp_path_factory.mktemp("threads"), SOURCE, "-O1", "-pthread")


class Running:
    """The program, and what is said of it."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.expect("ready")
        self.events = ProcessEvents(self.process.pid)

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


def test_threads_and_children_do_not_end_it(running: Running) -> None:
    running.do("f")
    running.do("t211")
    assert not running.events.is_over()


@pytest.mark.parametrize("command", ["x", "s", "o"])
def test_exec_of_another_file_of_the_same_and_by_another_thread(
    running: Running, command: str
) -> None:
    assert not running.events.has_restarted()
    running.tell(command)
    assert running.is_over_soon()
    assert running.events.has_restarted()
    assert running.process.poll() is None


def test_exit_wakes_who_waits_for_it(running: Running) -> None:
    running.do("t50")
    assert select.select([running.events.exit_descriptor], (), (), 0)[0] == []
    running.tell("e3")
    assert select.select([running.events.exit_descriptor], (), (), 10)[0]
    assert running.events.is_over()
    assert not running.events.has_restarted()


def test_death_by_a_signal(running: Running) -> None:
    running.process.send_signal(signal.SIGKILL)
    assert running.is_over_soon()


def test_a_process_that_is_gone() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(TargetError, match=f"process {process.pid} has ended"):
        ProcessEvents(process.pid)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EPERM, "the end of process 1 cannot be followed: Operation not permitted"),
        (errno.EMFILE, "ebpf-prof may not open as many files as it needs"),
    ],
)
def test_what_the_kernel_refuses_is_said(
    monkeypatch: pytest.MonkeyPatch, number: int, message: str
) -> None:
    def refuse(_pid: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "pidfd_open", refuse)
    with pytest.raises(KernelError, match=message):
        ProcessEvents(1)
