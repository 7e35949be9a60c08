"""Whether return probes are tried; tests/bpf tries them with real ones."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from profiler.probes import seccomp
from profiler.probes.seccomp import returns_are_safe


def open_files() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def never(*_: object) -> list[int]:
    raise AssertionError("no probe was to be placed")


def have_mode(own: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    us = SimpleNamespace(seccomp_mode=own)
    monkeypatch.setattr(seccomp, "read_process", lambda _pid: us)


@pytest.mark.parametrize("own", [None, 0, 1])
@pytest.mark.parametrize("target", [None, 0, 1])
def test_an_unfiltered_target_needs_no_trial(
    own: int | None, target: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_mode(own, monkeypatch)
    assert returns_are_safe(target, never)


@pytest.mark.parametrize(("own", "target"), [(2, 0), (0, 2), (2, None), (2, 2)])
@pytest.mark.parametrize("survives", [True, False])
def test_a_filtered_one_is_as_safe_as_a_child_that_tries(
    own: int, target: int | None, survives: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    have_mode(own, monkeypatch)
    monkeypatch.setattr(seccomp, "_child_survives", lambda _attach: survives)
    assert returns_are_safe(target, never) is survives


def test_a_child_that_dies_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "_deny_uretprobe", lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert not returns_are_safe(2, lambda *_: [])


def test_without_a_probe_the_child_survives_and_nothing_stays_open() -> None:
    before = open_files()
    held = os.open(os.devnull, os.O_RDONLY)
    assert returns_are_safe(2, lambda *_: [held])
    assert open_files() == before


def test_a_probe_that_cannot_be_placed_ends_the_child_too() -> None:
    children: list[int] = []

    def refuse(_path: str, _offset: int, _with_return: bool, pid: int) -> list[int]:
        children.append(pid)
        raise PermissionError(1, "refused")

    with pytest.raises(PermissionError):
        returns_are_safe(2, refuse)
    with pytest.raises(ChildProcessError):
        os.waitpid(children[0], 0)
