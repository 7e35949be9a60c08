from __future__ import annotations

import errno
import io
import subprocess
import sys
from pathlib import Path
from typing import TextIO

import pytest

from profiler.cli.streams import say, write_out
from profiler.errors import UsageError


class Broken(io.StringIO):
    """Refuses what is written, with this error."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def write(self, _text: str) -> int:
        raise OSError(self.number, "refused")


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    numbers: list[int] = []
    monkeypatch.setattr("profiler.cli.streams.drop", numbers.append)
    return numbers


def render(value: str, out: TextIO) -> None:
    out.write(value)


def test_data_reach_the_standard_output(
    dropped: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    write_out(render, "all of it")
    assert (out.getvalue(), dropped) == ("all of it", [])


def test_who_stops_reading_has_seen_enough(
    dropped: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(errno.EPIPE))
    write_out(render, "much")
    assert dropped == [1]


def test_a_full_disk_is_an_error_of_the_user(
    dropped: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Broken(errno.ENOSPC))
    with pytest.raises(UsageError, match="^cannot write to the standard output: refused$") as error:
        write_out(render, "much")
    assert "ebpf-prof report FOLDER" in error.value.hint
    assert dropped == [1]


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC, errno.EIO])
def test_lines_that_nobody_reads_are_no_error(dropped: list[int], number: int) -> None:
    say(Broken(number), "a line")
    assert dropped == [2]


def test_a_line_is_written_with_its_end(dropped: list[int]) -> None:
    out = io.StringIO()
    say(out, "a line")
    assert (out.getvalue(), dropped) == ("a line\n", [])


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_no_file_gets_the_number_of_a_closed_stream(tmp_path: Path, closed: str) -> None:
    code = (
        "import os, sys; from profiler.cli.streams import open_missing; open_missing();"
        "number = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT);"
        "os.write(number, str(number > 2).encode());"
        "print('x'); print('x', file=sys.stderr); assert sys.stdin.read() == ''"
    )
    command = f'"$0" -c "$1" "$2" {closed}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, code, tmp_path / "result"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "result").read_text() == "True"


def test_what_is_written_after_a_drop_goes_nowhere() -> None:
    code = (
        "from profiler.cli.streams import drop; print('before', flush=True);"
        "drop(1); print('after', flush=True)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("before\n", "")


def test_what_was_printed_arrives_when_the_process_leaves() -> None:
    code = (
        "import sys; from profiler.cli.streams import leave;"
        "print('shown', end=''); sys.stderr.write('said'); leave(7)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (7, "shown", "said")
