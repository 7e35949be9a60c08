from __future__ import annotations

import errno
import os

import pytest

from profiler.linux import bpf, task_registers
from profiler.linux.bpf import VerifierError
from profiler.linux.task_registers import has_task_registers


def test_kernels_without_the_registers_of_tasks_are_found_by_trying(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(*_: object) -> int:
        raise VerifierError(errno.EINVAL, "invalid func unknown#175")

    monkeypatch.setattr(bpf, "load_program", load)
    assert not has_task_registers()


def test_the_trial_of_registers_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(writing)
    monkeypatch.setattr(bpf, "load_program", lambda *_: reading)
    assert has_task_registers()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)


@pytest.mark.parametrize(
    ("has_registers", "places", "macros"),
    [
        (True, None, {"CPU_TASK_REGISTERS": 1}),
        (False, (24,), {"CPU_TASK_REGISTERS": 0, "CPU_TASK_STACK": 24}),
        (False, None, {"CPU_TASK_REGISTERS": 0}),
    ],
    ids=["5.15", "5.10", "5.10 without BTF"],
)
def test_samples_ask_for_no_registers_that_the_kernel_does_not_give(
    monkeypatch: pytest.MonkeyPatch,
    has_registers: bool,
    places: tuple[int, ...] | None,
    macros: dict[str, int],
) -> None:
    monkeypatch.setattr(task_registers, "has_task_registers", lambda: has_registers)
    monkeypatch.setattr(task_registers, "offsets", lambda *_: places)
    assert task_registers.register_definitions() == macros
