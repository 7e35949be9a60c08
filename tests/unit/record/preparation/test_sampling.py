from __future__ import annotations

import errno
import os
import signal
import subprocess
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.errors import KernelError
from profiler.process.procfs import read_process
from profiler.process.threads import present_threads, thread_births, thread_exits
from profiler.record.preparation import sampling as preparation
from profiler.record.preparation.sampling import Options


@pytest.mark.parametrize(("threads", "room"), [(3, 1024), (256, 1024), (257, 1028)])
def test_there_is_room_for_threads_that_start_later(
    monkeypatch: pytest.MonkeyPatch, threads: int, room: int
) -> None:
    monkeypatch.setattr(preparation, "read_tids", lambda _pid: list(range(threads)))
    assert preparation._lookup_map_sizes(1)["threads"] == room


def refused(_module: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize(
    ("definitions", "reason"),
    [
        ({}, "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)"),
        ({"TASK_TGID": 1}, "Operation not permitted"),
    ],
)
def test_why_ends_of_threads_are_not_reported_is_said(
    monkeypatch: pytest.MonkeyPatch, definitions: dict[str, int], reason: str
) -> None:
    module: Any = None
    monkeypatch.setattr(thread_exits, "definitions", lambda: definitions)
    monkeypatch.setattr(preparation, "ThreadExits", refused)
    found = preparation._exits(ExitStack(), module)
    assert found == (None, (f"ends of threads are not reported: {reason}",))


@pytest.mark.parametrize("definitions", [{}, {"TASK_TGID": 1}], ids=["no BTF", "refused"])
def test_where_starts_of_threads_are_not_reported_they_are_not_known(
    monkeypatch: pytest.MonkeyPatch, definitions: dict[str, int]
) -> None:
    module: Any = None
    for part in (thread_births, present_threads):
        monkeypatch.setattr(part, "definitions", lambda: definitions)
    monkeypatch.setattr(preparation, "ThreadBirths", refused)
    monkeypatch.setattr(preparation, "PresentThreads", refused)
    assert preparation._births(ExitStack(), module) is None
    assert preparation._present_threads(module) is None


def test_a_process_that_somebody_has_stopped_is_reported() -> None:
    with subprocess.Popen(["sleep", "100"]) as other:
        try:
            process = read_process(other.pid)
            assert process is not None
            assert not list(preparation._stopped(process))
            other.send_signal(signal.SIGSTOP)
            os.waitpid(other.pid, os.WUNTRACED)
            process = read_process(other.pid)
            assert process is not None
            (warning,) = preparation._stopped(process)
        finally:
            other.kill()
    assert warning.endswith(f"kill -CONT {other.pid}")


def test_a_kernel_that_refuses_iterators_gets_programs_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Module:
        def __init__(self, compiled: dict[str, int], *_: object) -> None:
            self.has_iterators = compiled["WALK_ITERATOR"]

        def __enter__(self) -> Module:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def sampler(module: Module, _frequency_hz: float) -> str:
        if module.has_iterators:
            raise KernelError("refused", "")
        return "sampler"

    fakes = {
        "BpfModule": Module,
        "CpuSampler": sampler,
        "compile_programs": lambda _sources, macros: macros,
        "sampling_macros": lambda _kernel_frames: {"WALK_ITERATOR": 1, "CPU_KERNEL_FRAMES": 1},
        "UnwindTables": lambda *_: SimpleNamespace(update=lambda _: ()),
        "enable_program_statistics": lambda: os.open(os.devnull, os.O_RDONLY),
        "_exits": lambda *_: (None, ()),
        "_present_threads": lambda _module: None,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(preparation, name, fake)
    target: Any = SimpleNamespace(pid=os.getpid(), code=SimpleNamespace(current=()))
    process: Any = SimpleNamespace(stopped=False)
    compilation: Any = SimpleNamespace(is_running=True, result=lambda: {"WALK_ITERATOR": 1})
    steps: list[str] = []
    with ExitStack() as stack:
        options = Options(duration_ns=1)
        setup = preparation.prepare_sampling(
            stack, process, target, options, compilation, steps.append
        )
    begins = [step.split()[0] for step in steps]
    assert begins == ["reading", "compiling", "loading"]
    assert setup.sampler == "sampler"  # type: ignore[comparison-overlap]
    assert not setup.module.has_iterators  # type: ignore[attr-defined]
