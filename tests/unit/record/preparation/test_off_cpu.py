from __future__ import annotations

from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.record.preparation import off_cpu as off_cpu_preparation
from profiler.record.preparation.off_cpu import prepare_off_cpu


def setup(present: object) -> Any:
    return SimpleNamespace(module=None, present=present, library=None)


def test_a_kernel_that_tells_of_no_threads_is_a_warning() -> None:
    unused: Any = None
    found, (warning,) = prepare_off_cpu(ExitStack(), setup(None), unused, unused)
    assert found is None
    assert warning.startswith("waits of threads are not recorded: the kernel has no BTF")


def test_a_kernel_that_refuses_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(off_cpu_preparation, "OffCpuMeasurement", refuse)
    unused: Any = None
    found, warnings = prepare_off_cpu(ExitStack(), setup(object()), unused, unused)
    assert found is None
    assert warnings == ("waits of threads are not recorded: Operation not permitted",)


def test_what_was_begun_is_ended_with_the_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    made = SimpleNamespace(abort=lambda: calls.append("abort"))
    monkeypatch.setattr(off_cpu_preparation, "OffCpuMeasurement", lambda *_: made)
    unused: Any = None
    with ExitStack() as stack:
        found, warnings = prepare_off_cpu(stack, setup(object()), unused, unused)
        expected: Any = made
        assert found is expected
        assert (warnings, calls) == ((), [])
    assert calls == ["abort"]
