"""A program whose threads wait for all kinds of things."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.compiled import build

THREADS = 28
# The system calls that threads are in at last, those that wait on futexes left out.
FUTEX = "202"
CALLS = {
    **dict.fromkeys(("main", "holder", "reader"), "34"),
    **{"sleeps": "230", "polls": "7", "polls_for_a_time": "7", "selects": "270"},
    **{"epolls": "232", "reads": "0", "has_child": "61"},
}


def is_blocked(pid: int, name: str, tid: int) -> bool:
    """Return whether a thread is where it stays; of one that runs or has ended, that is so."""
    if name in ("runs", "gone"):
        return True
    words = Path(f"/proc/{pid}/task/{tid}/syscall").read_text().split()
    return words[0] == CALLS.get(name, FUTEX)


@dataclass(frozen=True, slots=True)
class Waiting:
    """The program, and its threads by what they call themselves."""

    pid: int
    path: Path
    tids: dict[str, int]

    def name(self, tid: int | None) -> str | None:
        """Return what a thread calls itself."""
        return next((name for name, known in self.tids.items() if known == tid), None)


@contextmanager
def start_waiting(folder: Path, *flags: str, compiler: str = "gcc") -> Iterator[Waiting]:
    """Yield the program, built with these flags, when each thread is where it stays."""
    source = Path(__file__).with_name("waiting.c").read_text()
    path = build(folder, source, "-w", "-pthread", *flags, compiler=compiler)
    with subprocess.Popen([path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        tids = {"main": process.pid}
        told = iter(process.stdout.readline, "")
        while len(tids) < THREADS:
            name, tid = next(told).split()
            tids[name] = int(tid)
        while not all(is_blocked(process.pid, name, tid) for name, tid in tids.items()):
            time.sleep(0.01)
        yield Waiting(process.pid, path, tids)
        process.kill()


@pytest.fixture(scope="module")  # one of its threads never rests
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiting]:
    with start_waiting(tmp_path_factory.mktemp("waiting"), "-O2") as program:
        yield program
