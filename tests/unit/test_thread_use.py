from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler import thread_use
from profiler.kernel import BpfModule
from profiler.recording import ThreadUse
from profiler.taskstats import ThreadExit, ThreadTime
from profiler.thread_exits import ThreadExits, definitions
from profiler.thread_use import (
    ThreadAccount,
    ThreadUses,
    read_schedstat,
    read_switches,
    thread_uses,
)

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
    folder = tmp_path_factory.mktemp("burn")
    (folder / "burn.c").write_text(SOURCE)
    command = ["gcc", "-O1", "-w", "-pthread", "-o", folder / "burn", folder / "burn.c"]
    subprocess.run(command, check=True)
    return folder / "burn"


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
    macros = {"TARGET_TGID": running.process.pid, **definitions()}
    with BpfModule(("exits.bpf.c",), macros) as module:
        exits = ThreadExits(module, running.process.pid)
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
@pytest.mark.timed
@pytest.mark.parametrize("source", ["taskstats", "exits"])
def test_five_hundred_short_threads_and_three_long_ones(
    running: Running, source: str, request: pytest.FixtureRequest
) -> None:
    exits = request.getfixturevalue("exits") if source == "exits" else None
    uses = ThreadUses(running.process.pid, exits)
    assert uses.warning is None
    before_s = process_cpu_s(running.process.pid)
    account, truth = measure(running, uses)
    after_s = process_cpu_s(running.process.pid)
    uses.close()

    assert uses.overflows() == 0
    found = {thread.tid: thread for thread in account.threads}
    assert found.keys() == truth.keys()
    assert sum(thread.exited for thread in account.threads) == 500
    assert {thread.name for thread in account.threads} == {"b\ufffd", "steady", "burn"}
    for tid, cpu_ns in truth.items():
        assert cpu_ns <= found[tid].cpu_ns + UNSAID_NS
        assert found[tid].cpu_ns <= cpu_ns * 1.02 + 1_000_000
    total_ns = sum(thread.cpu_ns for thread in account.threads)
    assert total_ns == pytest.approx(account.process_cpu_ns, rel=0.02)
    assert total_ns / 1e9 == pytest.approx(after_s - before_s, rel=0.02, abs=0.02)
    assert account.unattributed_ns <= 0.02 * account.process_cpu_ns


@pytest.mark.root
@pytest.mark.timed
def test_what_a_thread_used_without_ever_leaving_its_cpu_is_told(
    running: Running, exits: ThreadExits
) -> None:
    told, by_taskstats = ThreadUses(running.process.pid, exits), ThreadUses(running.process.pid)
    told.start()
    by_taskstats.start()
    before_s = process_cpu_s(running.process.pid)
    running.do("q 1000 200000")
    used_s = process_cpu_s(running.process.pid) - before_s
    for uses in (told, by_taskstats):
        account = finished(uses)
        uses.close()
        assert sum(thread.exited for thread in account.threads) == 1000
        assert account.process_cpu_ns / 1e9 == pytest.approx(used_s, rel=0.05, abs=0.02)
        if uses is told:
            assert account.unattributed_ns == 0
            assert {thread.name for thread in account.threads} == {"burn"}
            assert min(thread.cpu_ns for thread in account.threads) > 0


@pytest.mark.root
def test_ends_before_the_window_that_are_told_late_are_not_in_it(
    running: Running, exits: ThreadExits
) -> None:
    uses = ThreadUses(running.process.pid, exits)
    running.do("q 50 1000")
    uses.start()
    account = finished(uses)
    uses.close()
    assert [thread.exited for thread in account.threads] == [False]


def process_cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.timed
def test_without_taskstats_short_threads_are_unattributed(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(thread_use, "TaskTimes", refuse)
    uses = ThreadUses(running.process.pid)
    assert uses.warning == ("ending threads are not heard of: [Errno 1] Operation not permitted")
    account, truth = measure(running, uses)

    long_ones = {thread.tid for thread in account.threads}
    assert len(long_ones) == 3
    for thread in account.threads:
        assert thread.cpu_ns == pytest.approx(truth[thread.tid], rel=0.02, abs=10_000_000)
    short_ns = sum(cpu_ns for tid, cpu_ns in truth.items() if tid not in long_ones)
    assert account.unattributed_ns == pytest.approx(short_ns, rel=0.1)


@pytest.mark.root
@pytest.mark.timed
def test_a_target_that_exits_in_the_window_is_accounted_for(program: Path) -> None:
    running = Running(program)
    uses = ThreadUses(running.process.pid)
    ((main, before_ns),) = running.do("m 0 1000", reports=1).items()
    uses.start()
    truth = running.do("b 7 2000", reports=7) | running.do("m 0 20000", reports=1)
    truth[main] -= before_ns
    running.end()
    account = finished(uses)
    uses.close()

    assert {thread.tid for thread in account.threads} == truth.keys()
    assert all(thread.exited for thread in account.threads)
    total_ns = sum(thread.cpu_ns for thread in account.threads)
    assert total_ns == pytest.approx(account.process_cpu_ns, rel=0.02)
    # What the main thread used after it said `before_ns` and before the window is in its truth.
    assert sum(truth.values()) <= total_ns + UNSAID_NS
    assert total_ns <= sum(truth.values()) * 1.05 + 5_000_000


@pytest.mark.root
def test_taskstats_and_proc_agree() -> None:
    uses = ThreadUses(os.getpid())
    assert uses._times is not None
    before = read_schedstat(os.getpid(), os.getpid())
    told = uses._times.thread(os.getpid())
    after = read_schedstat(os.getpid(), os.getpid())
    uses.close()

    assert before is not None
    assert after is not None
    assert before.cpu_ns <= told.cpu_ns <= after.cpu_ns
    assert before.run_delay_ns is not None
    assert told.run_delay_ns is not None
    assert after.run_delay_ns is not None
    assert before.run_delay_ns <= told.run_delay_ns <= after.run_delay_ns
    assert told.name == after.name


def at(tid: int, cpu_ns: int, delay_ns: int | None = 0, name: str = "n") -> ThreadTime:
    return ThreadTime(tid, name, cpu_ns, delay_ns)


def test_live_ended_new_and_vanished_threads() -> None:
    start = (at(1, 100, 10), at(2, 50, 5), at(3, 7, 7, "gone"))
    end = (at(1, 160, 30, "renamed"), at(4, 9, 2))
    exits = (at(2, 61, 6), at(5, 20, 1))

    assert thread_uses(start, end, exits) == (
        ThreadUse(1, "renamed", 60, 20, False),
        ThreadUse(2, "n", 11, 1, True),
        ThreadUse(3, "gone", 0, 0, True),
        ThreadUse(4, "n", 9, 2, False),
        ThreadUse(5, "n", 20, 1, True),
    )


def test_a_tid_that_is_used_again_stands_for_all_its_threads() -> None:
    uses = thread_uses([at(1, 100)], [at(1, 5, 1, "third")], [at(1, 130), at(1, 7, 2)])

    assert uses == (ThreadUse(1, "third", 30 + 7 + 5, 3, False),)


def test_unknown_delay_stays_unknown() -> None:
    assert thread_uses([at(1, 1, None)], [at(1, 3, None)], ()) == (
        ThreadUse(1, "n", 2, None, False),
    )


LIVES = st.lists(
    st.tuples(
        st.integers(1, 4),  # tid
        st.integers(0, 9),  # used before the window; only the first life of a tid may have some
        st.integers(0, 9),  # in it
        st.booleans(),  # ended in it
    ),
    max_size=12,
)


@given(LIVES)
def test_the_sum_over_threads_is_what_was_used(lives: list[tuple[int, int, int, bool]]) -> None:
    start: dict[int, ThreadTime] = {}
    live: dict[int, ThreadTime] = {}
    exits: list[ThreadTime] = []
    seen: set[int] = set()
    used = 0
    for tid, before, during, ended in lives:
        if tid in live:
            continue
        if tid not in seen and before:
            start[tid] = at(tid, before)
        else:
            before = 0
        seen.add(tid)
        used += during
        if ended:
            exits.append(at(tid, before + during))
        else:
            live[tid] = at(tid, before + during)

    uses = thread_uses(start.values(), live.values(), exits)

    assert sum(use.cpu_ns for use in uses) == used
    assert {use.tid for use in uses} == seen
    assert {use.tid for use in uses if not use.exited} == live.keys()


@pytest.mark.parametrize(("process", "expected"), [(100, 40), (50, 0)], ids=["missing", "noise"])
def test_unattributed(process: int, expected: int) -> None:
    account = ThreadAccount((ThreadUse(1, "n", 60, 0, False),), process)
    assert account.unattributed_ns == expected


@pytest.mark.root
def test_switches_with_taskstats_and_without() -> None:
    with subprocess.Popen(("sleep", "60")) as process:
        time.sleep(0.2)
        uses = ThreadUses(process.pid)
        by_taskstats = uses.switches()
        uses.close()
        uses._times = None
        by_proc = uses.switches()
        process.kill()
    assert 0 < by_taskstats == by_proc
    assert uses.switches() == read_switches(process.pid, process.pid) == 0


def test_a_thread_that_is_gone_has_no_schedstat() -> None:
    assert read_schedstat(os.getpid(), 2**22 + 1) is None


class ScriptedTimes:
    """Stands in for TaskTimes: exits arrive, one list for each call, between the readings."""

    overflows = 0

    def __init__(self, exits: list[list[ThreadExit]]) -> None:
        self.cpu_ns = {1: 100, 2: 100}
        self.exits = exits

    def listen(self, pid: int) -> int:
        return -1

    def read_exits(self) -> list[ThreadExit]:
        return self.exits.pop(0)

    def thread(self, tid: int) -> ThreadTime:
        if tid not in self.cpu_ns:
            raise ProcessLookupError
        return at(tid, self.cpu_ns[tid])

    def close(self) -> None:
        pass


def ended(tid: int, cpu_ns: int, tgid: int | None = 1, started_ns: int | None = None) -> ThreadExit:
    return ThreadExit(at(tid, cpu_ns), tgid, started_ns)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> ScriptedTimes:
    times = ScriptedTimes([])
    monkeypatch.setattr(thread_use, "TaskTimes", lambda: times)
    monkeypatch.setattr(thread_use, "read_tids", lambda pid: tuple(times.cpu_ns))
    return times


def test_ends_around_the_two_snapshots_are_counted_once(scripted: ScriptedTimes) -> None:
    # Before the window: 9. At its start, already read: 2. At its end, already read: 1.
    scripted.exits = [[ended(9, 50), ended(2, 103)], [], [ended(1, 131), ended(4, 5)]]
    uses = ThreadUses(1)
    uses.start()
    scripted.cpu_ns = {1: 130, 3: 7}
    account = finished(uses)

    assert {use.tid: use.cpu_ns for use in account.threads} == {1: 30, 2: 3, 3: 7, 4: 5}


def test_ends_that_are_told_late_count_by_when_threads_began(
    scripted: ScriptedTimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_000]
    monkeypatch.setattr(thread_use, "time", SimpleNamespace(monotonic_ns=lambda: now[0]))
    gone_at_the_start = ended(9, 50, started_ns=900)
    inside = [ended(2, 103, started_ns=900), ended(5, 8, started_ns=1_500)]
    behind_the_end = ended(6, 8, started_ns=2_100)
    scripted.exits = [[gone_at_the_start], [], [*inside, behind_the_end]]
    uses = ThreadUses(1)
    uses.start()
    now[0] = 2_000
    scripted.cpu_ns = {1: 100}
    account = finished(uses)

    assert {use.tid: use.cpu_ns for use in account.threads} == {1: 0, 2: 3, 5: 8}


def test_ends_of_other_processes_are_not_ours(scripted: ScriptedTimes) -> None:
    scripted.exits = [[], [ended(7, 1, tgid=8), ended(6, 1, tgid=None), ended(5, 3, tgid=None)], []]
    uses = ThreadUses(1)
    uses.start()
    uses._known |= {5}  # told by observe(tids)
    account = finished(uses)

    assert {use.tid: use.cpu_ns for use in account.threads} == {1: 0, 2: 0, 5: 3}
