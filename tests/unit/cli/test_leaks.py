"""The command `leaks`, with a recorder that gives a recording which was made before."""

from __future__ import annotations

import errno
import io
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.cli import leaks
from profiler.cli.destination import parse_recording
from profiler.cli.progress import ProgressLine
from profiler.errors import TargetError, UsageError
from profiler.files.leaks_file import read_leaks
from profiler.linux.priority import NOT_RAISED
from profiler.record.leaks_recorder import LeaksOptions
from tests.leak_examples import RECORDING

OPTIONS = LeaksOptions(1_000_000_000)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    found: Any = SimpleNamespace(pid=7)
    monkeypatch.setattr(leaks, "find_asterisk", lambda _pid: found)
    monkeypatch.setattr(leaks, "record_leaks", lambda *_arguments: RECORDING)
    monkeypatch.setattr(leaks, "is_refused", lambda: False)  # tests run as they are started


def show(output: str | None = None) -> None:
    with ProgressLine(io.StringIO(), quiet=True) as line:
        leaks.leaks(7, OPTIONS, parse_recording(output), line, as_json=False)


@pytest.mark.usefixtures("recorded")
def test_what_became_of_objects_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show()
    out = capsys.readouterr().out
    assert "one.c:11 make                             2      1      1" in out
    assert "cost to asterisk: 5 % of one CPU" in out


@pytest.mark.usefixtures("recorded")
def test_what_was_followed_is_written_and_no_other_file_is_replaced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("run.leaks", "run-2.leaks"):
        show(str(tmp_path / "run.leaks"))
        assert capsys.readouterr().err == f"results: {tmp_path / name}\n"
        assert read_leaks(tmp_path / name) == RECORDING


@pytest.mark.usefixtures("recorded")
def test_a_priority_that_may_not_be_raised_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaks, "is_refused", lambda: True)
    show(str(tmp_path / "run.leaks"))
    assert read_leaks(tmp_path / "run.leaks").warnings == (NOT_RAISED,)
    assert "CAP_SYS_NICE" in capsys.readouterr().out


@pytest.mark.usefixtures("recorded")
def test_a_disk_without_room_takes_nothing_from_the_screen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(leaks, "write_leaks", fail)
    with pytest.raises(UsageError, match="No space left"):
        show(str(tmp_path / "run.leaks"))
    assert "MOST ALIVE" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def test_hints_name_this_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def find(_pid: int | None) -> None:
        raise TargetError("two run", "ebpf-prof asterisk -p 1")

    monkeypatch.setattr(leaks, "find_asterisk", find)
    with pytest.raises(TargetError) as raised:
        show()
    assert raised.value.hint == "ebpf-prof leaks -p 1"
