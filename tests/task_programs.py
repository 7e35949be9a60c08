"""The programs that report tasks, loaded for the registers in which builds keep a task."""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

from profiler.asterisk.task_code import TaskCode
from profiler.binary.instructions import R12, R13, R14, R15, RBP, RBX
from profiler.tasks.programs import TaskPrograms
from profiler.wire.tasks import TaskState
from tests.programs import sampling_module

REGISTERS = ((RBX, RBP), (R12, R13), (R14, R15))  # (task, processor)


def check_load(task: int, processor: int, is_known: bool) -> None:
    """Load them; `is_known`: whether the code told where a task keeps what it calls."""
    site: Any = SimpleNamespace(file_offset=0)
    offset = 24 if is_known else None
    code = TaskCode((site,), site, site, processor, task, 0, 8, offset, offset, is_known)
    with ExitStack() as stack, sampling_module(os.getpid()) as base:
        programs = TaskPrograms(stack, base, code, "/proc/self/exe")
        programs.control(1, 2, 3)
        assert programs.state() == TaskState()
        assert programs.events() == []
