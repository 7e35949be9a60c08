from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from profiler.model.recording import ChildUse
from profiler.process.children import ChildProcesses

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
TARGET = 100


class FakeProc:
    """A /proc with nothing but stat files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def set(self, pid: int, parent: int, name: str, cpu: int, waited: int = 0, born: int = 1):
        (self.path / str(pid)).mkdir(exist_ok=True)
        fields = f"S {parent} 1 1 0 -1 0 0 0 0 0 {cpu} 0 {waited} 0 20 0 1 0 {born} 0"
        (self.path / str(pid) / "stat").write_text(f"{pid} ({name}) {fields}\n")

    def end(self, pid: int) -> None:
        (self.path / str(pid) / "stat").unlink()
        (self.path / str(pid)).rmdir()


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    made = FakeProc(tmp_path)
    made.set(1, 0, "init", 500)
    made.set(TARGET, 1, "asterisk", 900, waited=50)
    return made


def used(children: ChildProcesses) -> tuple[int, dict[str, tuple[int, int]]]:
    """Return ticks of all, and (count, ticks) by name."""
    found = children.recorded()
    seen = {use.name: (use.count, use.cpu_ns // TICK_NS) for use in found.seen}
    return found.cpu_ns // TICK_NS, seen


def test_what_was_used_before_does_not_count(proc: FakeProc) -> None:
    proc.set(200, TARGET, "mpg123", 40)
    proc.set(201, 1, "other", 40)
    children = ChildProcesses(TARGET, proc.path)
    assert used(children) == (0, {"mpg123": (1, 0)})
    proc.set(200, TARGET, "mpg123", 47)
    proc.set(201, 1, "other", 99)
    children.sample()
    assert used(children) == (7, {"mpg123": (1, 7)})


def test_children_of_children_count(proc: FakeProc) -> None:
    children = ChildProcesses(TARGET, proc.path)
    proc.set(301, 300, "sox", 20)  # found before its parent, whatever the order of pids
    proc.set(300, TARGET, "sh", 1)
    children.sample()
    assert used(children) == (21, {"sox": (1, 20), "sh": (1, 1)})


def test_nothing_is_counted_twice_when_one_ends(proc: FakeProc) -> None:
    proc.set(200, TARGET, "agi", 40)
    children = ChildProcesses(TARGET, proc.path)
    proc.set(200, TARGET, "agi", 45)
    children.sample()
    proc.end(200)
    proc.set(TARGET, 1, "asterisk", 900, waited=50 + 48)
    children.sample()
    assert used(children) == (8, {"agi": (1, 5)})


def test_those_too_short_to_be_seen_are_in_the_total(proc: FakeProc) -> None:
    children = ChildProcesses(TARGET, proc.path)
    proc.set(TARGET, 1, "asterisk", 900, waited=80)
    children.sample()
    assert used(children) == (30, {})


def test_those_that_nobody_waits_for_are_in_the_total_as_they_were_seen(proc: FakeProc) -> None:
    children = ChildProcesses(TARGET, proc.path)
    proc.set(200, TARGET, "agi", 9)
    children.sample()
    proc.end(200)
    children.sample()
    assert used(children) == (9, {"agi": (1, 9)})


def test_a_child_that_leaves_its_parent_still_counts(proc: FakeProc) -> None:
    children = ChildProcesses(TARGET, proc.path)
    proc.set(200, TARGET, "daemon", 1)
    children.sample()
    proc.set(200, 1, "daemon", 6)
    children.sample()
    assert used(children) == (6, {"daemon": (1, 6)})


def test_a_pid_that_is_used_again_is_another_process(proc: FakeProc) -> None:
    children = ChildProcesses(TARGET, proc.path)
    proc.set(200, TARGET, "agi", 9)
    children.sample()
    proc.set(200, 1, "login", 700, born=2)
    children.sample()
    assert used(children) == (9, {"agi": (1, 9)})


def test_a_process_has_the_name_that_it_had_last(proc: FakeProc) -> None:
    children = ChildProcesses(TARGET, proc.path)
    proc.set(200, TARGET, "asterisk", 1)
    children.sample()
    proc.set(200, TARGET, "sox", 3)
    children.sample()
    assert children.recorded().seen == (ChildUse("sox", 1, 3 * TICK_NS),)


def test_a_target_that_ends_keeps_what_was_known(proc: FakeProc) -> None:
    children = ChildProcesses(TARGET, proc.path)
    proc.set(TARGET, 1, "asterisk", 900, waited=60)
    children.sample()
    proc.end(TARGET)
    children.sample()
    assert used(children) == (10, {})


def test_a_real_child_is_counted_after_its_end() -> None:
    children = ChildProcesses(os.getpid())
    burn = "import time\nwhile time.process_time() < 0.1: pass"
    subprocess.run([sys.executable, "-c", burn], check=True)
    children.sample()
    assert children.recorded().cpu_ns >= 100_000_000 - 2 * TICK_NS
