from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from profiler.process.procfs import read_tids
from profiler.process.target import TargetProcess
from profiler.process.threads.present_threads import RBP, RSP, PresentThread, PresentThreads
from profiler.process.threads.thread_births import find_start_routine_offset
from profiler.unwind.beginnings import Beginnings
from profiler.unwind.kernel_tables import TableLibrary
from profiler.unwind.table import EMPTY_TABLE
from tests.compiled import build, symbols_of
from tests.programs import present_threads_module

pytestmark = pytest.mark.root

# Threads that sleep under functions of all kinds of frames, and one that never sleeps.
SOURCE = r"""
#include <alloca.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#define NI __attribute__((noinline, noclone))
NI void rest(volatile char *room) { room[0] = 1; pause(); room[0] = 2; }
NI void small(void) { volatile char room[100]; rest(room); }
NI void grown(long bytes) { volatile char *room = alloca(bytes); rest(room); room[1] = 3; }
NI void deep(long left)
{
    volatile char room[64];
    if (left)
        deep(left - 1);
    else
        rest(room);
    room[2] = 1;
}
void *steady(void *arg) { small(); return arg; }
void *roomy(void *arg) { grown(70000); small(); return arg; }
void *recursive(void *arg) { deep((long)arg); return arg; }
void *bare(void *arg)
{
    volatile char *room = alloca((long)arg);
    long result = 34;  /* pause */
    room[0] = 1;
    __asm__ volatile("syscall" : "+a"(result) : : "rcx", "r11", "memory");
    return (void *)&room[result];
}
void *busy(void *arg) { for (;;) __asm__ volatile(""); return arg; }
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, steady, 0);
    pthread_create(&thread, 0, roomy, 0);
    pthread_create(&thread, 0, recursive, (void *)40L);
    pthread_create(&thread, 0, recursive, (void *)200L);
    pthread_create(&thread, 0, bare, (void *)1000L);
    pthread_create(&thread, 0, busy, 0);
    puts("ready");
    fflush(stdout);
    small();
    return 0;
}
"""
FRAMES = 6
_HIGHEST = (1 << 64) - 8
ROLES = ("main", "steady", "roomy", "recursive", "deeper", "bare", "busy")


class Named:
    """The program, and the functions that its threads began in."""

    def __init__(self, path: Path, pid: int, knows_routines: bool = True) -> None:
        self._target = TargetProcess.open(pid, 0)
        self._target.code.refresh()
        code = self._target.code.current
        routine_at = find_start_routine_offset(code) if knows_routines else None
        self._beginnings = Beginnings(self._target, TableLibrary(), routine_at)
        self._names = {address: name for name, address in symbols_of(path).items()}
        self._path = path

    def began_in(self, thread: PresentThread) -> list[str]:
        """Return the names of the program's own frames, outermost first."""
        names = map(self._name, self.frames(thread))
        return [name for name in names if name is not None]

    def frames(self, thread: PresentThread) -> tuple[int, ...]:
        """Return the outermost frames, outermost first."""
        return self._beginnings.of(thread, FRAMES)

    def _name(self, address: int) -> str | None:
        code = self._target.code.at(address)
        if code is None or code.bias is None or code.mapping.path != str(self._path):
            return None
        return self._names[max(start for start in self._names if start <= address - code.bias)]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("sleepers"), SOURCE, "-O2", "-w", "-pthread")


@pytest.fixture(scope="module")
def pid(program: Path) -> Iterator[int]:
    with subprocess.Popen([program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


@pytest.fixture(scope="module")
def threads(pid: int) -> dict[str, PresentThread]:
    """All threads, in the order in which they were made, once all sleep but the last one."""
    while sum(sleeps(pid, tid) for tid in read_tids(pid)) < len(ROLES) - 1:
        time.sleep(0.01)
    with present_threads_module(pid) as module:
        found = sorted(PresentThreads(module).read(), key=lambda thread: thread.tid)
    return dict(zip(ROLES, found, strict=True))


def sleeps(pid: int, tid: int) -> bool:
    """Return whether a thread is in pause()."""
    return Path(f"/proc/{pid}/task/{tid}/syscall").read_text().startswith("34 ")


def test_where_threads_began(program: Path, pid: int, threads: dict[str, PresentThread]) -> None:
    named = Named(program, pid)
    assert {role: named.began_in(thread) for role, thread in threads.items()} == {
        "main": ["_start", "main", "small", "rest"],
        "steady": ["steady", "small", "rest"],
        "roomy": ["roomy", "grown", "rest"],
        "recursive": ["recursive", *["deep"] * (FRAMES - 3)],
        "deeper": ["recursive", *["deep"] * (FRAMES - 3)],
        "bare": ["bare"],
        "busy": ["busy"],
    }


def test_of_a_thread_that_runs_only_the_routine_is_known(
    program: Path, pid: int, threads: dict[str, PresentThread]
) -> None:
    running = replace(threads["steady"], is_on_cpu=True)
    assert Named(program, pid).began_in(running) == ["steady"]
    assert Named(program, pid, knows_routines=False).began_in(running) == []
    assert Named(program, pid).began_in(replace(running, fs_base=running.fs_base + 8)) == []
    assert Named(program, pid).began_in(replace(running, fs_base=0)) == []


def test_of_a_thread_that_has_not_begun_yet_only_the_routine_is_known(
    program: Path, pid: int, threads: dict[str, PresentThread]
) -> None:
    named = Named(program, pid)
    clone, *_ = named.frames(threads["steady"])
    born = replace(threads["steady"], ip=clone)
    assert named.began_in(born) == ["steady"]
    assert Named(program, pid, knows_routines=False).frames(born) == (clone,)
    assert named.frames(replace(threads["main"], is_on_cpu=True)) == ()  # nobody started it


def test_registers_that_are_wrong_say_nothing(
    program: Path, pid: int, threads: dict[str, PresentThread]
) -> None:
    named = Named(program, pid, knows_routines=False)
    steady = threads["steady"]
    sp = steady.registers[RSP] or 0
    for ip, wrong in ((steady.ip, 8), (8, sp), (sp, sp), (steady.ip, _HIGHEST)):
        assert named.began_in(with_register(replace(steady, ip=ip), RSP, wrong)) == []
    assert named.began_in(with_register(threads["bare"], RBP, 0)) == []


def with_register(thread: PresentThread, number: int, value: int) -> PresentThread:
    """Return the thread with another value in a register."""
    registers = list(thread.registers)
    registers[number] = value
    return replace(thread, registers=tuple(registers))


def test_without_a_table_nothing_is_known(
    program: Path, pid: int, threads: dict[str, PresentThread], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TableLibrary, "table", lambda *_: EMPTY_TABLE)
    named = Named(program, pid, knows_routines=False)
    assert not any(map(named.began_in, threads.values()))
