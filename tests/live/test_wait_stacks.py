"""All threads of a packaged, stripped Asterisk that is idle: whole stacks, equal to gdb's."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from lab.instance import Instance, Options, start
from profiler.asterisk.find import find_asterisk
from profiler.model.waits import Snapshot, WaitKind
from profiler.names.session import NamingSession
from profiler.process.target import TargetProcess
from profiler.waits.reader import WaitReader
from profiler.waits.sources import compile_reader, open_threads
from tests.bpf.unwinding import gdb_stacks

pytestmark = [pytest.mark.live, pytest.mark.root]

LEAST_THREADS = 20
LOOKS = 3


@pytest.fixture(scope="module", params=["16", "22"])
def idle(request: pytest.FixtureRequest) -> Iterator[Instance]:
    name = f"live{os.getpid()}-waits{request.param}"
    with start(Options(version=request.param, name=name, endpoints=10)) as instance:
        yield instance


@contextmanager
def reading(pid: int, with_bpf: bool = True) -> Iterator[WaitReader]:
    """Yield what reads the threads of an Asterisk."""
    with ExitStack() as stack:
        compilation = compile_reader() if with_bpf else None
        if compilation is not None:
            stack.enter_context(closing(compilation))
        found = find_asterisk(pid)
        target = TargetProcess.open(pid, found.process.stat.start_ticks)
        read_threads, warnings = open_threads(stack, pid, compilation)
        assert bool(warnings) != with_bpf
        session = NamingSession(target, None)
        yield WaitReader(target, session, found.recorded(exited=False), read_threads, warnings)


def settled(pid: int) -> Snapshot:
    """Return the threads of a moment in which none of them ran."""
    with reading(pid) as reader:
        while True:
            snapshot = reader.read()
            if not any(one.moved or one.kind is WaitKind.RUNNING for one in snapshot.threads):
                return snapshot
            time.sleep(0.05)


def test_all_threads_that_wait_are_whole(idle: Instance) -> None:
    snapshot = settled(idle.pid)
    assert len(snapshot.threads) >= LEAST_THREADS
    assert {(one.tid, one.cause) for one in snapshot.threads if not one.is_whole} == set()
    kinds = {one.kind for one in snapshot.threads}
    assert {WaitKind.CONDITION, WaitKind.POLL} <= kinds
    assert kinds.isdisjoint({WaitKind.FUTEX, WaitKind.OTHER})
    assert [one.tid for one in snapshot.threads if one.role is None] == []


def test_without_bpf_most_are(idle: Instance) -> None:
    with reading(idle.pid, with_bpf=False) as reader:
        snapshot = reader.read()
    whole = [one for one in snapshot.threads if one.is_whole]
    assert len(whole) >= len(snapshot.threads) - 2


def test_frames_equal_gdbs(idle: Instance, tmp_path: Path) -> None:
    """A thread may go on before gdb looks. A stack that we read wrongly differs each time."""
    differing = differing_from_gdb(idle, tmp_path)
    for _ in range(LOOKS - 1):
        if differing:
            differing &= differing_from_gdb(idle, tmp_path)
    assert differing == set()


def differing_from_gdb(idle: Instance, tmp_path: Path) -> set[int]:
    """Return the threads that wait at the same place for us and for gdb, by other ways."""
    snapshot = settled(idle.pid)
    program = idle.root / "usr/sbin/asterisk"
    stacks = gdb_stacks(idle.pid, tmp_path, program, idle.root)
    equal: dict[int, bool] = {}
    for thread in snapshot.threads:
        known = [address for address, _ in stacks.get(thread.tid, ())]
        frames = [frame.address + (at > 0) for at, frame in enumerate(thread.frames)]
        if known and known[0] == frames[0]:
            equal[thread.tid] = frames == known
    assert len(equal) >= LEAST_THREADS
    return {tid for tid, is_equal in equal.items() if not is_equal}


def test_what_a_debugger_has_interrupted_is_still_known(idle: Instance, tmp_path: Path) -> None:
    before = settled(idle.pid)
    gdb_stacks(idle.pid, tmp_path, idle.root / "usr/sbin/asterisk", idle.root)
    after = {one.tid: one for one in settled(idle.pid).threads}
    kinds = {one.tid: one.kind for one in before.threads if one.tid in after}
    changed = [tid for tid, kind in kinds.items() if after[tid].kind is not kind]
    assert len(kinds) >= LEAST_THREADS
    assert len(changed) <= 1  # a thread may have begun something else meanwhile
