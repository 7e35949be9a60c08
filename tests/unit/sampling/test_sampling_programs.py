from __future__ import annotations

import pytest

from profiler.linux.module import ITERATOR_FUNCTIONS
from profiler.process.threads import present_threads, thread_births, thread_exits
from profiler.sampling import sampling_programs
from profiler.sampling.sampling_programs import SOURCES, compile_sampling, sampling_macros


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A kernel's functions that programs may call."""
    functions = dict.fromkeys(ITERATOR_FUNCTIONS, 1)
    monkeypatch.setattr(sampling_programs, "kernel_functions", lambda: functions)
    monkeypatch.setattr(sampling_programs, "register_definitions", lambda: {"REGISTERS": 1})
    monkeypatch.setattr(thread_exits, "definitions", lambda: {"TASK_TGID": 8})
    monkeypatch.setattr(thread_births, "definitions", lambda: {"TASK_FS_BASE": 9})
    monkeypatch.setattr(present_threads, "definitions", lambda: {"TASK_ON_CPU": 7})
    return functions


def test_programs_are_built_for_what_the_kernel_has(kernel: dict[str, int]) -> None:
    places = {"TASK_TGID": 8, "TASK_FS_BASE": 9, "TASK_ON_CPU": 7}
    every = {"CPU_KERNEL_FRAMES": 1, "WALK_ITERATOR": 1, "REGISTERS": 1, **places}
    assert sampling_macros() == every
    kernel.popitem()
    assert sampling_macros(kernel_frames=False) == {
        **every,
        "CPU_KERNEL_FRAMES": 0,
        "WALK_ITERATOR": 0,
    }


def test_they_are_compiled_by_these_macros(
    kernel: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(sampling_programs, "Compilation", lambda *words: asked.append(words))
    compile_sampling(False)
    assert asked == [(SOURCES, sampling_macros(False))]
