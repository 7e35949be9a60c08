"""Runs ebpf-prof as a user does: as a process of its own, seen from outside."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab import traffic
from lab.instance import Instance
from lab.traffic import Summary

REPOSITORY = Path(__file__).parents[2]
FILES = (
    "recording",
    "profile.json",
    "cpu.folded",
    "comparisons.folded",
    "cpu.svg",
    "comparisons.svg",
    "offcpu.folded",
    "offcpu.svg",
    "profile.speedscope.json",
    "report.html",
)
# Beyond the time that is recorded; far more than is ever needed, for machines that do other work.
LIMIT_S = 600.0
_PROGRESS = re.compile(r"(\d+\.\d) of \d+ s, ([\d,]+) samples, ([\d,]+) lookups")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "profiler", *words]


def environment(**changes: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SUDO_")}
    return {**kept, "PYTHONPATH": str(REPOSITORY), **changes}


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished run left behind."""

    code: int
    out: str
    errors: str
    folder: Path

    def has_whole_stacks(self, quality: str) -> bool:
        """Return whether stacks are whole, or were taken inside one of our own probes.

        One in a thousand need not be, for single instructions have no description; nor one alone.
        """
        found = self.profile()[quality]
        assert found["whole"] + sum(found["by_cause"].values()) == found["samples"]
        others = found["samples"] - found["whole"] - found["by_cause"].get("inside a probe", 0)
        return bool(others <= max(1, found["samples"] // 1000))

    def profile(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads((self.folder / "profile.json").read_text())
        return value

    def folded(self, name: str) -> list[tuple[list[str], int]]:
        """Return the stacks, root first, and their weights."""
        lines = (self.folder / name).read_text().splitlines()
        split = (line.rsplit(" ", 1) for line in lines)
        return [(stack.split(";"), int(weight)) for stack, weight in split]


def finished(words: Sequence[str], folder: Path, seconds: float = 0.0, **changes: str) -> Result:
    """Run a command to its end, beside the folder of its results."""
    done = subprocess.run(
        words,
        cwd=folder.parent,
        env=environment(**changes),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds + LIMIT_S,
    )
    return Result(done.returncode, done.stdout, done.stderr, folder)


def run(words: Sequence[str], folder: Path, seconds: float = 0.0, **changes: str) -> Result:
    """Run one command of the profiler to its end."""
    return finished(command(*words), folder, seconds, **changes)


@contextmanager
def public_tree() -> Iterator[Path]:
    """Copy the program to where everybody can read it, and remove the copy afterwards."""
    tree = Path(tempfile.mkdtemp(prefix="ebpf-prof-", dir="/tmp"))
    try:
        shutil.copytree(REPOSITORY / "profiler", tree / "profiler")
        subprocess.run(["chown", "-R", "nobody:", tree], check=True)
        yield tree
    finally:
        shutil.rmtree(tree)


def run_as_nobody(words: Sequence[str], tree: Path | None = None) -> Result:
    """Run one command without any privilege, in a copy of the program."""
    if tree is None:
        with public_tree() as fresh:
            return run_as_nobody(words, fresh)
    nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    words = [*nobody, *command(*words)]
    return finished(words, tree / "result", PYTHONPATH=str(tree), HOME="/nonexistent")


def profile(
    pid: int, folder: Path, *options: str, seconds: float = 5, expect: int = 0, **changes: str
) -> Result:
    """Profile a process; fail with what the tool said if it ends otherwise than expected."""
    words = ["asterisk", "-p", str(pid), "-d", f"{seconds}s", "-o", str(folder), *options]
    result = run(words, folder, seconds, **changes)
    assert result.code == expect, result.errors
    return result


@dataclass(slots=True)
class Started:
    """A run that goes on; its stderr is a terminal of 80 columns."""

    process: subprocess.Popen[bytes]
    terminal: int
    folder: Path
    shown: str = ""
    times: list[float] = field(default_factory=list)  # when something new was shown

    def read(self, seconds: float) -> None:
        """Take in what the terminal shows next."""
        ready, _, _ = select.select([self.terminal], [], [], seconds)
        if not ready:
            return
        try:
            self.shown += os.read(self.terminal, 65536).decode()
        except OSError:  # EIO: the other side is closed
            time.sleep(0.05)
        self.times.append(time.monotonic())

    def progress(self) -> list[tuple[float, int, int]]:
        """Return (seconds, samples, lookups) of every progress line so far."""
        return [
            (float(s), int(n.replace(",", "")), int(k.replace(",", "")))
            for s, n, k in _PROGRESS.findall(self.shown)
        ]

    def wait_for(self, condition: Callable[[], bool], seconds: float = LIMIT_S) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, self.shown
            assert time.monotonic() < deadline, self.shown
            self.read(0.02)

    def wait_recording(self, seconds: float = 1.0, lookups: int = 0) -> None:
        """Return when it has recorded for so long and measured so many lookups."""
        self.wait_for(lambda: any(s >= seconds and n >= lookups for s, _, n in self.progress()))

    def send(self, number: signal.Signals) -> None:
        os.kill(self.process.pid, number)

    def close_terminal(self) -> None:
        """Hang up: whatever is written to the terminal from now on fails."""
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, self.terminal)
        os.close(nowhere)

    def finish(self, seconds: float = LIMIT_S) -> Result:
        deadline = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < deadline, "it does not end: " + self.shown
            self.read(0.05)
        self.read(0)
        assert self.process.stdout is not None
        out = self.process.stdout.read().decode()
        return Result(self.process.returncode, out, self.shown, self.folder)


@contextmanager
def started(
    pid: int, folder: Path, *options: str, seconds: float, name: str = "asterisk"
) -> Iterator[Started]:
    """Begin to profile; whatever still runs at the end of the block is killed."""
    words = [name, "-p", str(pid), "-d", f"{seconds}s", "-o", str(folder), *options]
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        command(*words),
        cwd=folder.parent,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    try:
        yield Started(process, controller, folder)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        if process.stdout is not None:
            process.stdout.close()
        os.close(controller)


def profile_traffic(
    asterisk: Instance, folder: Path, kind: str, rate: float, *options: str, seconds: float
) -> tuple[Result, Summary]:
    """Profile an Asterisk while it is sent traffic from shortly after the beginning."""
    with started(asterisk.pid, folder, *options, seconds=seconds) as running:
        running.wait_recording(0.2)
        sent = traffic.run(kind, asterisk, rate, max(round(rate * (seconds - 2)), 1))
        result = running.finish(seconds + LIMIT_S)
    assert result.code == 0, result.errors
    return result, sent
