from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.binary.elf import ElfError
from profiler.process.target import TargetProcess
from profiler.process.threads import thread_births
from profiler.process.threads.thread_births import Birth, ThreadBirths, find_start_routine_offset
from tests.compiled import build, symbols_of
from tests.programs import births_module

# Does what Asterisk does: all threads are started by one function, which is told what to run.
SOURCE = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
struct told { void *(*routine)(void *); };
void *job(void *argument) { return argument; }
void *dummy_start(void *data)
{
    struct told told = *(struct told *)data;
    free(data);
    return told.routine(0);
}
static char stack[65536];
static int copy(void *nothing) { return 0; }
static void run(void *(*routine)(void *), void *argument)
{
    pthread_t thread;
    pthread_create(&thread, 0, routine, argument);
    pthread_join(thread, 0);
}
int main(void)
{
    for (char command; read(0, &command, 1) == 1; write(1, "x", 1)) {
        struct told *told = malloc(sizeof(*told));
        told->routine = job;
        if (command == 'd')
            run(dummy_start, told);
        if (command == 'j')
            run(job, 0);
        if (command == 'p')
            waitpid(fork() ?: (_exit(0), 0), 0, 0);
        if (command == 'c') { /* not by pthread_create: it has its maker's fs base */
            int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
            clone(copy, stack + sizeof(stack), flags, 0);
            usleep(50000);
        }
    }
    return 0;
}
"""


class Running:
    """The program, and what it was seen to start."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.target = TargetProcess.open(self.process.pid, 0)
        self._names = {address: name for name, address in symbols_of(program).items()}
        self.do("x")
        self.target.code.refresh()
        self.offset = find_start_routine_offset(self.target.code.current)

    def do(self, commands: str) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        for command in commands:
            os.write(self.process.stdin.fileno(), command.encode())
            assert os.read(self.process.stdout.fileno(), 1) == b"x"

    def named(self, births: Iterator[Birth]) -> list[tuple[str | None, str | None]]:
        return [(self._name(routine), self._name(told)) for _, (routine, told) in births]

    def _name(self, address: int) -> str | None:
        code = self.target.code.at(address)
        return None if code is None or code.bias is None else self._names[address - code.bias]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    running = Running(build(tmp_path, SOURCE, "-O1", "-w", "-pthread"))
    yield running
    running.process.kill()
    running.process.communicate()


@pytest.mark.root
def test_what_threads_are_started_with_and_told(running: Running) -> None:
    assert running.offset is not None
    with births_module(running.process.pid, running.offset) as module:
        births = ThreadBirths(module)
        running.do("djpcd")
        found = list(births.read())
        births.close()
        births.close()
        running.do("d")
        assert not list(births.read())
    assert running.named(iter(found)) == [
        ("dummy_start", "job"),
        ("job", None),
        ("dummy_start", "job"),
    ]
    assert len({tid for tid, _ in found}) == 3


@pytest.mark.root
def test_memory_that_cannot_be_read_says_nothing(running: Running) -> None:
    with births_module(running.process.pid, 1 << 30) as module:
        births = ThreadBirths(module)
        running.do("dj")
        assert not list(births.read())
        births.close()


@pytest.mark.root
def test_births_without_room_are_left_out(running: Running) -> None:
    assert running.offset is not None
    with births_module(running.process.pid, running.offset, BIRTH_RING_PAGES=1) as module:
        births = ThreadBirths(module)
        running.do("j" * 200)
        assert 0 < len(list(births.read())) < 200
        births.close()


@pytest.mark.root
def test_threads_of_others_are_not_reported(running: Running) -> None:
    assert running.offset is not None
    with births_module(os.getpid(), running.offset) as module:
        births = ThreadBirths(module)
        running.do("dj")
        assert not list(births.read())
        births.close()


def loaded(path: str, elf: object) -> Any:
    return SimpleNamespace(file=SimpleNamespace(path=path, elf=elf))


@pytest.mark.parametrize(
    ("paths", "offset"),
    [
        (("/usr/sbin/asterisk", "/lib/libc.so.6"), 7),
        (("/lib/libc-2.31.so", "/lib/libpthread-2.31.so"), 7),
        (("/lib/damaged/libc.so.6", "/lib/libpthread.so.0"), 7),
        (("/usr/sbin/asterisk", "/lib/libcrypt.so.1", "/lib/ld-musl-x86_64.so.1"), None),
    ],
)
def test_the_c_library_is_asked(
    monkeypatch: pytest.MonkeyPatch, paths: tuple[str, ...], offset: int | None
) -> None:
    def of(elf: Any) -> int | None:
        if "damaged" in elf:
            raise ElfError("damaged")
        return None if elf == "/lib/libc-2.31.so" else 7

    monkeypatch.setattr(thread_births, "start_routine_offset", of)
    code = [SimpleNamespace(file=None), *(loaded(path, path) for path in paths)]
    assert find_start_routine_offset(code) == offset


def test_a_kernel_without_these_offsets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thread_births, "offsets", lambda *_: None)
    assert thread_births.definitions() == {}
