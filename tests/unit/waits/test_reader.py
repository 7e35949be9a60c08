"""All that a real program's threads wait for, by the kernel's program and by /proc alone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from profiler.model.recording import Target
from profiler.model.waits import LockKind, Snapshot, WaitingThread, WaitKind
from profiler.names.session import NamingSession
from profiler.process.target import TargetProcess
from profiler.waits.reader import OTHER_LIBRARY, WaitReader
from profiler.waits.sources import WITHOUT_BPF, compile_reader, open_threads
from tests.bpf.unwinding import gdb_stacks
from tests.compiled import build
from tests.unit.waits.conftest import Waiting, start_waiting

pytestmark = pytest.mark.root

KINDS = {
    "main": WaitKind.SIGNAL,
    "sleeps": WaitKind.SLEEP,
    "holder": WaitKind.SIGNAL,
    "reader": WaitKind.SIGNAL,
    "leftmost": WaitKind.MUTEX,
    "rightmost": WaitKind.MUTEX,
    "wants_plain": WaitKind.MUTEX,
    "wants_plain_for_a_time": WaitKind.MUTEX,
    "wants_inherited": WaitKind.MUTEX,
    "wants_recursive": WaitKind.MUTEX,
    "wants_abandoned": WaitKind.MUTEX,
    "wants_to_read": WaitKind.READ_LOCK,
    "wants_to_write": WaitKind.WRITE_LOCK,
    "wants_to_write_too": WaitKind.WRITE_LOCK,
    "prefers_to_write": WaitKind.WRITE_LOCK,
    "reads_after_writer": WaitKind.READ_LOCK,
    "has_condition": WaitKind.CONDITION,
    "has_condition_for_a_time": WaitKind.CONDITION,
    "has_semaphore": WaitKind.SEMAPHORE,
    "joins": WaitKind.JOIN,
    "polls": WaitKind.POLL,
    "polls_for_a_time": WaitKind.POLL,
    "selects": WaitKind.POLL,
    "epolls": WaitKind.POLL,
    "reads": WaitKind.READ,
    "has_child": WaitKind.CHILD,
    "runs": WaitKind.RUNNING,
}
# Who waits for which lock, and who has it.
WANTED = {
    "leftmost": ("right", "rightmost"),
    "rightmost": ("left", "leftmost"),
    "wants_plain": ("plain", "holder"),
    "wants_plain_for_a_time": ("plain", "holder"),
    "wants_inherited": ("inherited", "holder"),
    "wants_recursive": ("recursive", "holder"),
    "wants_abandoned": ("abandoned", "gone"),
    "wants_to_read": ("written", "holder"),
    "wants_to_write": ("written", "holder"),
    "wants_to_write_too": ("read_by_two", None),
    "prefers_to_write": ("preferring", None),
    "reads_after_writer": ("preferring", None),
}
TIMED = {"sleeps", "wants_plain_for_a_time", "has_condition_for_a_time", "polls_for_a_time"}
PAUSE_S = 0.05
MUSL_SPECS = "/usr/lib/x86_64-linux-musl/musl-gcc.specs"
MUSL_KINDS = {WaitKind.SLEEP, WaitKind.FUTEX}
MUSL_PROGRAM = """
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void *want(void *arg) { pthread_mutex_lock(&lock); return arg; }
int main(void)
{
    pthread_t thread;
    pthread_mutex_lock(&lock);
    pthread_create(&thread, 0, want, 0);
    puts("ready");
    fflush(stdout);
    sleep(600);
    return 0;
}
"""


@pytest.fixture(scope="module", params=["kernel", "proc"])
def way(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def reader(waiting: Waiting, way: str) -> Iterator[WaitReader]:
    with reading(waiting, way) as made:
        yield made


@contextmanager
def reading(waiting: Waiting, way: str = "kernel") -> Iterator[WaitReader]:
    """Yield what reads the program's threads."""
    target = TargetProcess.open(waiting.pid, 0)
    compilation = compile_reader() if way == "kernel" else None
    with ExitStack() as stack:
        if compilation is not None:
            stack.callback(compilation.close)
        read, warnings = open_threads(stack, waiting.pid, compilation)
        assert bool(warnings) == (way == "proc")
        recorded = Target(waiting.pid, str(waiting.path), None, None, (), None, False)
        yield WaitReader(target, NamingSession(target, None), recorded, read, warnings)


@pytest.fixture(scope="module")
def snapshot(reader: WaitReader) -> Snapshot:
    return reader.read()


def threads(waiting: Waiting, snapshot: Snapshot) -> dict[str, WaitingThread]:
    return {waiting.name(thread.tid) or "?": thread for thread in snapshot.threads}


def test_what_each_thread_waits_for(waiting: Waiting, snapshot: Snapshot) -> None:
    found = threads(waiting, snapshot)
    assert {name: thread.kind for name, thread in found.items()} == KINDS


def test_whose_lock_each_thread_wants(waiting: Waiting, snapshot: Snapshot) -> None:
    found = {}
    for name, thread in threads(waiting, snapshot).items():
        if thread.lock is not None:
            lock = snapshot.locks[thread.lock]
            found[name] = ((lock.place or "").partition(": ")[2], waiting.name(lock.owner))
    assert found == WANTED


def test_locks_say_how_they_are_held(snapshot: Snapshot) -> None:
    locks = {(lock.place or "").partition(": ")[2]: lock for lock in snapshot.locks}
    assert [name for name, lock in locks.items() if lock.owner_is_gone] == ["abandoned"]
    assert locks["recursive"].recursion == 3
    assert locks["plain"].recursion is None
    assert locks["recursive"].attributes == ("recursive",)
    assert locks["inherited"].attributes == ("priority inheritance",)
    assert locks["preferring"].kind is LockKind.RWLOCK
    readers = {"written": 0, "read_by_two": 2, "preferring": 1}
    assert {name: locks[name].readers for name in readers} == readers


def test_who_holds_what(waiting: Waiting, snapshot: Snapshot) -> None:
    found = {
        name: {(snapshot.locks[held.lock].place or "").split(": ")[1] for held in thread.holds}
        for name, thread in threads(waiting, snapshot).items()
        if thread.holds
    }
    assert found == {
        "holder": {"plain", "inherited", "recursive", "written"},
        "leftmost": {"left"},
        "rightmost": {"right"},
    }


def test_where_locks_were_taken(waiting: Waiting, snapshot: Snapshot) -> None:
    found = threads(waiting, snapshot)
    for name in ("holder", "leftmost"):
        thread = found[name]
        took = {thread.frames[one.frame].name for one in thread.holds if one.frame is not None}
        assert took == {"cross" if name == "leftmost" else name}


def test_who_gives_up_by_itself(waiting: Waiting, snapshot: Snapshot) -> None:
    found = threads(waiting, snapshot)
    assert {name for name, thread in found.items() if thread.has_timeout} == TIMED
    assert waiting.name(found["joins"].waits_for) == "sleeps"


def test_stacks_are_whole_and_say_what_threads_run(waiting: Waiting, snapshot: Snapshot) -> None:
    found = threads(waiting, snapshot)
    blocked = {name: thread for name, thread in found.items() if name != "runs"}
    assert {thread.cause for thread in blocked.values()} == {None}
    assert not any(thread.moved for thread in blocked.values())
    roles = {name: "cross" if name.endswith("most") else name for name in blocked}
    assert {name: thread.role for name, thread in blocked.items()} == roles
    assert found["runs"].kind is WaitKind.RUNNING and found["runs"].waiting_ns is None


def test_how_long_threads_have_waited(waiting: Waiting, reader: WaitReader, way: str) -> None:
    first = reader.read()
    time.sleep(PAUSE_S)
    second = reader.read()
    for thread in first.threads:
        later = second.thread(thread.tid)
        assert later is not None
        if thread.tid == waiting.tids["runs"]:
            continue
        assert later.switches == thread.switches
        if way == "proc":
            assert thread.waiting_ns is None
        else:
            assert thread.waiting_ns is not None and later.waiting_ns is not None
            assert later.waiting_ns - thread.waiting_ns > PAUSE_S * 0.9e9


def test_without_the_kernels_program_is_said(snapshot: Snapshot, way: str) -> None:
    begin = WITHOUT_BPF.partition("(")[0]
    assert [warning.startswith(begin) for warning in snapshot.warnings] == [True] * (way == "proc")


@pytest.mark.parametrize(
    "words",
    [
        "gcc -O0",
        "gcc -O2",
        "gcc -Os -fcf-protection=none",
        "clang -O0",
        "clang -O2 -fomit-frame-pointer",
        "clang -O2 -fno-omit-frame-pointer",
    ],
)
def test_stacks_equal_gdbs(tmp_path: Path, words: str) -> None:
    compiler, *flags = words.split()
    with (
        start_waiting(tmp_path, *flags, compiler=compiler) as program,
        reading(program) as reader,
    ):
        snapshot = reader.read()
        stacks = gdb_stacks(program.pid, tmp_path, program.path)
    compared = [thread for thread in snapshot.threads if thread.kind is not WaitKind.RUNNING]
    assert len(compared) == len(KINDS) - 1
    for thread in compared:
        frames = [frame.address + (at > 0) for at, frame in enumerate(thread.frames)]
        assert frames == [address for address, _ in stacks[thread.tid]]


def test_another_c_librarys_locks_are_said_to_be_unknown(tmp_path: Path) -> None:
    path = build(tmp_path, MUSL_PROGRAM, "-pthread", "-specs", MUSL_SPECS)
    with subprocess.Popen([path], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        with reading(Waiting(process.pid, path, {})) as reader:
            while {thread.kind for thread in reader.read().threads} != MUSL_KINDS:
                time.sleep(0.01)
            snapshot = reader.read()
        process.kill()
    assert snapshot.locks == ()
    assert snapshot.warnings == (OTHER_LIBRARY,)
