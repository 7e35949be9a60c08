from __future__ import annotations

from pathlib import Path

import pytest

from profiler.process.threads.present_threads import R10, RAX, RBP, RDI, RDX, RSI, RSP
from profiler.process.threads.proc_threads import read_proc_threads

STAT = "{tid} (pbx thread) {state} " + " ".join(["1"] * 48)
FUTEX = "202 0x7f01 0x80 0x2 0x0 0x0 0x0 0x7ffe10 0x7f00000a\n"


def thread(proc: Path, tid: int, syscall: str = FUTEX, state: str = "S") -> Path:
    folder = proc / "9" / "task" / str(tid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(STAT.format(tid=tid, state=state))
    (folder / "schedstat").write_text("5 6 7\n")
    (folder / "syscall").write_text(syscall)
    return folder


def test_a_thread_in_a_system_call(tmp_path: Path) -> None:
    thread(tmp_path, 9)
    (found,) = read_proc_threads(9, tmp_path)
    assert (found.tid, found.name, found.state, found.switches) == (9, "pbx thread", 1, 7)
    assert (found.syscall, found.ip, found.is_on_cpu) == (202, 0x7F00000A, False)
    registers = {RDI: 0x7F01, RSI: 0x80, RDX: 2, R10: 0, RSP: 0x7FFE10, RBP: None, RAX: None}
    assert {number: found.registers[number] for number in registers} == registers
    assert found.stopped_ns is None


def test_a_thread_in_the_kernel_without_a_system_call(tmp_path: Path) -> None:
    thread(tmp_path, 9, "-1 0x7ffe10 0x7f00000a\n", "D")
    (found,) = read_proc_threads(9, tmp_path)
    assert (found.syscall, found.state, found.ip) == (None, 2, 0x7F00000A)
    assert found.registers[RSP] == 0x7FFE10 and found.registers[RDI] is None


def test_a_thread_that_runs(tmp_path: Path) -> None:
    thread(tmp_path, 9, "running\n", "R")
    (found,) = read_proc_threads(9, tmp_path)
    assert found.is_on_cpu and found.state == 0


@pytest.mark.parametrize("missing", ["stat", "schedstat", "syscall"])
def test_a_thread_that_ends_meanwhile_is_left_out(tmp_path: Path, missing: str) -> None:
    thread(tmp_path, 9)
    (thread(tmp_path, 10) / missing).unlink()
    assert [one.tid for one in read_proc_threads(9, tmp_path)] == [9]


def test_a_process_that_is_gone(tmp_path: Path) -> None:
    assert read_proc_threads(9, tmp_path) == ()
