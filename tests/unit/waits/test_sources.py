from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

import pytest

from profiler.errors import KernelError
from profiler.waits import sources
from profiler.waits.sources import compile_reader, open_threads


class Compilation:
    """Stands in for a compiler that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def result(self) -> None:
        raise self._error


def opened(compilation: Any) -> tuple[str, ...]:
    """Return the warnings; whatever happened, threads can be read."""
    with ExitStack() as stack:
        read, warnings = open_threads(stack, os.getpid(), compilation)
        assert os.getpid() in [thread.tid for thread in read()]
    return warnings


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KernelError("BCC is not there", "apt"), "BCC is not there"),
        (PermissionError(1, "Operation not permitted"), "Operation not permitted"),
    ],
)
def test_without_the_kernels_program_proc_is_read(error: Exception, reason: str) -> None:
    (warning,) = opened(Compilation(error))
    assert warning.startswith(f"read from /proc alone ({reason})")


def test_a_kernel_that_does_not_describe_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profiler.process.threads.present_threads.definitions", dict)
    assert compile_reader() is None
    (warning,) = opened(None)
    assert "no BTF" in warning


def test_inside_of_a_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "in_initial_pid_namespace", lambda: False)
    (warning,) = opened(Compilation(AssertionError("nobody asks")))
    assert "inside of a container" in warning
