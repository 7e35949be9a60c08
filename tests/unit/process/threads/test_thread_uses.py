from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from profiler.model.observed import ThreadAccount
from profiler.process.target import TargetProcess
from profiler.process.threads.thread_exits import ThreadExits
from profiler.process.threads.thread_uses import ThreadUses, read_schedstat
from tests.compiled import build
from tests.programs import exits_module

UNSAID_NS = 100_000  # a thread uses some before it says what it used, and after
SOURCE = r"""
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
static int gate[2];
static long cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}
static void burn(long us) { long end = cpu_ns() + us * 1000; while (cpu_ns() < end); }
static void say(const char *kind) { printf("%s %ld %ld\n", kind, syscall(SYS_gettid), cpu_ns()); }
static void *brief(void *us)
{
    prctl(PR_SET_NAME, "b\xff");
    burn((long)us);
    say("ended");
    return 0;
}
static void *quiet(void *loops)
{
    for (volatile long i = 0; i < (long)loops; i++) {}
    return 0;
}
static void *steady(void *us)
{
    char byte;
    prctl(PR_SET_NAME, "steady");
    burn(2000);
    say("born");
    read(gate[0], &byte, 1);
    burn((long)us);
    say("lives");
    read(gate[0], &byte, 1);
    return 0;
}
static void *(*body(char command))(void *)
{
    return command == 'b' ? brief : command == 'q' ? quiet : steady;
}
int main(void)
{
    long count, us;
    char command;
    pthread_t thread;
    pipe(gate);
    setvbuf(stdout, 0, _IOLBF, 0);
    puts("ready");
    while (scanf(" %c %ld %ld", &command, &count, &us) == 3) {
        for (long i = 0; i < count; i++) {
            if (command == 'g') { write(gate[1], "x", 1); continue; }
            pthread_create(&thread, 0, body(command), (void *)us);
            if (command != 's') pthread_join(thread, 0);
        }
        if (command == 'm') { burn(us); say("main"); }
        puts("done");
    }
    return 0;
}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("burn"), SOURCE, "-O1", "-w", "-pthread")


class Running:
    """The program, and what its threads say they used."""

    def __init__(self, program: Path) -> None:
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.line()

    def line(self) -> list[str]:
        assert self.process.stdout is not None
        return self.process.stdout.readline().split()

    def do(self, command: str, reports: int = 0) -> dict[int, int]:
        """Run a command; return the CPU time by tid that `reports` threads say."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        said: dict[int, int] = {}
        done = False
        while not done or reports > 0:
            words = self.line()
            if words == ["done"]:
                done = True
            else:
                said[int(words[1])] = int(words[2])
                reports -= 1
        return said

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


@pytest.fixture
def running(program: Path) -> Iterator[Running]:
    running = Running(program)
    yield running
    running.end()


@pytest.fixture
def exits(running: Running) -> Iterator[ThreadExits]:
    """What the kernel tells of threads that it frees."""
    with exits_module(running.process.pid) as module:
        exits = ThreadExits(module)
        yield exits
        exits.close()


def finished(uses: ThreadUses) -> ThreadAccount:
    uses.stop()
    return uses.account()


def measure(running: Running, uses: ThreadUses) -> tuple[ThreadAccount, dict[int, int]]:
    """Let short and long threads burn; return the account, and the truth by tid in ns."""
    born = running.do("s 2 60000", reports=2)
    main = running.do("m 0 1000", reports=1)
    uses.start()
    truth = running.do("g 2 0", reports=2)
    truth |= running.do("b 500 2000", reports=500)
    truth |= running.do("m 0 30000", reports=1)
    before = born | main
    return finished(uses), {tid: cpu_ns - before.get(tid, 0) for tid, cpu_ns in truth.items()}


@pytest.mark.root
def test_five_hundred_short_threads_and_three_long_ones(
    running: Running, exits: ThreadExits
) -> None:
    uses = ThreadUses(TargetProcess.open(running.process.pid, 0), exits)
    before_s = process_cpu_s(running.process.pid)
    account, truth = measure(running, uses)
    after_s = process_cpu_s(running.process.pid)

    found = {thread.tid: thread for thread in account.threads}
    assert found.keys() == truth.keys()
    assert sum(thread.exited for thread in account.threads) == 500
    assert {thread.name for thread in account.threads} == {"b\ufffd", "steady", "program"}
    assert all(cpu_ns <= found[tid].cpu_ns + UNSAID_NS for tid, cpu_ns in truth.items())
    # What interrupts a thread is counted to it, also between its last word and its end.
    interrupted = {
        tid: (found[tid].cpu_ns, cpu_ns)
        for tid, cpu_ns in truth.items()
        if found[tid].cpu_ns > cpu_ns * 1.02 + 1_000_000
    }
    assert len(interrupted) <= 5, interrupted
    total_ns = sum(thread.cpu_ns for thread in account.threads)
    whole_ns = account.process_cpu_ns
    assert 0.98 * whole_ns <= total_ns <= 1.02 * whole_ns
    assert total_ns / 1e9 <= 1.02 * (after_s - before_s) + 0.02
    assert account.unattributed_ns <= 0.02 * whole_ns


@pytest.mark.root
def test_what_a_thread_used_without_ever_leaving_its_cpu_is_reported(
    running: Running, exits: ThreadExits
) -> None:
    uses = ThreadUses(TargetProcess.open(running.process.pid, 0), exits)
    uses.start()
    before_s = process_cpu_s(running.process.pid)
    running.do("q 1000 200000")
    least_s = process_cpu_s(running.process.pid) - before_s
    account = finished(uses)
    most_s = process_cpu_s(running.process.pid) - before_s
    assert sum(thread.exited for thread in account.threads) == 1000
    assert 0.95 * least_s - 0.02 <= account.process_cpu_ns / 1e9 <= 1.05 * most_s + 0.02
    # Without the reports of their freeing nearly all would be missing; seldom one does not come.
    assert account.unattributed_ns <= 0.02 * account.process_cpu_ns
    assert {thread.name for thread in account.threads} == {"program"}


@pytest.mark.root
def test_ends_before_the_window_that_are_reported_late_are_not_in_it(
    running: Running, exits: ThreadExits
) -> None:
    uses = ThreadUses(TargetProcess.open(running.process.pid, 0), exits)
    running.do("q 50 1000")
    uses.start()
    account = finished(uses)
    assert [thread.exited for thread in account.threads] == [False]


def process_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_where_ends_are_not_reported_short_threads_are_unattributed(running: Running) -> None:
    uses = ThreadUses(TargetProcess.open(running.process.pid, 0), None)
    account, truth = measure(running, uses)

    long_ones = {thread.tid for thread in account.threads}
    assert len(long_ones) == 3
    for thread in account.threads:
        assert thread.cpu_ns == pytest.approx(truth[thread.tid], rel=0.02, abs=10_000_000)
    short_ns = sum(cpu_ns for tid, cpu_ns in truth.items() if tid not in long_ones)
    assert account.unattributed_ns == pytest.approx(short_ns, rel=0.1)


@pytest.mark.root
def test_a_target_that_exits_in_the_window_is_accounted_for(
    running: Running, exits: ThreadExits
) -> None:
    uses = ThreadUses(TargetProcess.open(running.process.pid, 0), exits)
    ((main, before_ns),) = running.do("m 0 1000", reports=1).items()
    uses.start()
    truth = running.do("b 7 2000", reports=7) | running.do("m 0 20000", reports=1)
    truth[main] -= before_ns
    running.end()
    account = finished(uses)

    assert {thread.tid for thread in account.threads} == truth.keys()
    assert all(thread.exited for thread in account.threads)
    total_ns = sum(thread.cpu_ns for thread in account.threads)
    assert total_ns == pytest.approx(account.process_cpu_ns, rel=0.02)
    # What the main thread used after it said `before_ns` and before the window is in its truth.
    assert sum(truth.values()) <= total_ns + UNSAID_NS
    assert total_ns <= sum(truth.values()) * 1.05 + 5_000_000


@pytest.mark.root
def test_a_thread_that_is_gone_has_no_schedstat() -> None:
    assert read_schedstat(os.getpid(), 2**22 + 1) is None
