from __future__ import annotations

import ctypes
import errno
from types import SimpleNamespace

import pytest

from profiler.linux import bpf


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EINTR])
def test_a_pending_signal_makes_no_call_fail(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    answers = [-1, -1, 7]

    def call(*_: object) -> int:
        ctypes.set_errno(number)
        return answers.pop(0)

    monkeypatch.setattr(bpf, "LIBC", SimpleNamespace(syscall=call))
    assert bpf._bpf(0, b"") == 7
    assert not answers


def test_calls_that_are_never_answered_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def call(*_: object) -> int:
        ctypes.set_errno(errno.EAGAIN)
        return -1

    monkeypatch.setattr(bpf, "LIBC", SimpleNamespace(syscall=call))
    with pytest.raises(BlockingIOError):
        bpf._bpf(0, b"")


def test_other_errors_are_raised_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def call(*_: object) -> int:
        calls.append(1)
        ctypes.set_errno(errno.EPERM)
        return -1

    monkeypatch.setattr(bpf, "LIBC", SimpleNamespace(syscall=call))
    with pytest.raises(PermissionError):
        bpf._bpf(0, b"")
    assert len(calls) == 1


def test_too_long_programs_are_not_loaded_again_for_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[int] = []

    def call(*_: object) -> int:
        loads.append(1)
        ctypes.set_errno(errno.E2BIG)
        return -1

    monkeypatch.setattr(bpf, "LIBC", SimpleNamespace(syscall=call))
    with pytest.raises(bpf.VerifierError) as caught:
        bpf.load_program(b"\0" * 8, bpf.PROG_KPROBE, 0, "name")
    assert caught.value.errno == errno.E2BIG
    assert len(loads) == 1
