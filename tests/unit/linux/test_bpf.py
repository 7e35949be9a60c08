from __future__ import annotations

import ctypes
import errno
import os
import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.libc import LIBC
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


def answer_batch(monkeypatch: pytest.MonkeyPatch, number: int, count: int) -> None:
    """Let the kernel answer a batch with a count and an error, 0 for none."""

    def call(_number: int, _command: int, attributes: Any, _size: int) -> int:
        attributes[32:36] = count.to_bytes(4, "little")
        ctypes.set_errno(number)
        return -1 if number else 0

    monkeypatch.setattr(bpf, "LIBC", SimpleNamespace(syscall=call))


@pytest.mark.parametrize(("number", "is_more"), [(0, True), (errno.ENOENT, False)])
def test_a_batch_says_how_many_entries_it_has_and_whether_more_follow(
    monkeypatch: pytest.MonkeyPatch, number: int, is_more: bool
) -> None:
    answer_batch(monkeypatch, number, 3)
    place = ctypes.create_string_buffer(8)
    assert bpf.lookup_batch(5, None, place, place, place, 9) == (3, is_more)


def test_a_batch_that_fails_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_batch(monkeypatch, errno.EPERM, 3)
    place = ctypes.create_string_buffer(8)
    with pytest.raises(PermissionError):
        bpf.lookup_batch(5, None, place, place, place, 9)


def test_a_limit_of_locked_memory_is_lifted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """As kernels before 5.11 need it."""
    limits = [(65_536, 65_536)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, wanted: limits.append(wanted))
    calls = []

    def call(*_: object) -> int:
        calls.append(1)
        ctypes.set_errno(errno.EPERM)
        return 7 if len(calls) == 2 else -1

    monkeypatch.setattr(LIBC, "syscall", call)
    assert bpf.create_map(1, 4, 4, 1, 0, "m") == 7
    with pytest.raises(PermissionError):
        bpf.create_map(1, 4, 4, 1, 0, "m")
    assert (len(limits), len(calls)) == (2, 3)


@pytest.mark.parametrize(("setting", "is_on"), [("1\n", True), ("0\n", False)])
def test_statistics_that_are_on_anyway_need_not_be_switched_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str, is_on: bool
) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EPERM, "not permitted")

    monkeypatch.setattr(bpf, "_bpf", refuse)
    monkeypatch.setattr(bpf, "STATISTICS_SETTING", str(tmp_path / "setting"))
    (tmp_path / "setting").write_text(setting)
    if is_on:
        os.close(bpf.enable_program_statistics())
    else:
        with pytest.raises(PermissionError):
            bpf.enable_program_statistics()
