from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys

import pytest

from profiler.cli.progress import ProgressLine, progress_text
from profiler.record.progress import Progress

STOPPING = "stopping, Ctrl-C again to abort"
SECOND_NS = 1_000_000_000
# What comes after the command line's own modules cannot be imported here.
WITHOUT_THE_REST = """
import sys
from profiler.cli.commands import main
sys.modules["profiler.doctor.checks"] = None
sys.argv = ["ebpf-prof", "asterisk"]
main()
"""


@pytest.fixture(autouse=True)
def capable_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def progress(elapsed_s: float) -> Progress:
    return Progress(round(elapsed_s * SECOND_NS), 60 * SECOND_NS, 1_234, 56_789, 0.0042)


def test_the_line_tells_time_samples_lookups_and_cost() -> None:
    assert progress_text(progress(3.25)) == (
        "  3.2 of 60 s, 1,234 samples, 56,789 lookups, cost 0.4 % of one CPU"
    )


def test_a_terminal_gets_one_line_that_is_written_over_and_taken_away() -> None:
    out = Terminal()
    line = ProgressLine(out, quiet=False)
    line(progress(1))
    line(progress(2))
    line.end()
    parts = out.getvalue().split("\r")
    assert [part.strip() for part in parts] == [
        "",
        progress_text(progress(1)).strip(),
        progress_text(progress(2)).strip(),
        "",
        "",
    ]
    assert {len(part) for part in parts[1:-1]} == {79}
    assert "\n" not in out.getvalue()


def test_a_terminal_shows_what_is_prepared_until_the_recording_begins() -> None:
    out = Terminal()
    with ProgressLine(out, quiet=False) as line:
        line.prepare("this")
        line(progress(1))
    parts = [part.strip() for part in out.getvalue().split("\r")]
    assert parts == ["", "preparing: this", progress_text(progress(1)).strip(), "", ""]


def test_the_line_is_gone_before_an_error_is_shown() -> None:
    out = Terminal()
    with pytest.raises(ValueError, match="no"), ProgressLine(out, quiet=False) as line:
        line.prepare("this")
        raise ValueError("no")
    assert out.getvalue().endswith("\r" + " " * 79 + "\r")


def test_a_line_that_was_never_shown_is_not_taken_away() -> None:
    out = Terminal()
    with ProgressLine(out, quiet=False):
        pass
    assert out.getvalue() == ""


def test_a_terminal_that_cannot_rewrite_gets_whole_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    with ProgressLine(out, quiet=False) as line:
        line.prepare("this")
        line(progress(1))
        line(progress(10))
    assert out.getvalue() == f"preparing: this\n{progress_text(progress(10))}\n"


def test_a_pipe_is_not_told_what_is_prepared() -> None:
    out = io.StringIO()
    with ProgressLine(out, quiet=False) as line:
        line.prepare("this")
    assert out.getvalue() == ""


def test_a_terminal_shows_something_before_the_rest_is_imported() -> None:
    controller, terminal = pty.openpty()
    try:
        command = [sys.executable, "-c", WITHOUT_THE_REST]
        subprocess.run(command, stderr=terminal, check=False, timeout=60)
        shown = os.read(controller, 4096).decode()
    finally:
        os.close(controller)
        os.close(terminal)
    assert shown.startswith("\rpreparing: looking at this machine ")


@pytest.mark.parametrize(
    ("term", "shown"),
    [("xterm", f"\r{STOPPING:79}\r\n"), ("dumb", f"{STOPPING}\r\n")],  # the terminal adds \r
)
def test_an_interrupt_is_acknowledged_on_a_line_that_stays(
    monkeypatch: pytest.MonkeyPatch, term: str, shown: str
) -> None:
    monkeypatch.setenv("TERM", term)
    controller, terminal = pty.openpty()
    try:
        with os.fdopen(terminal, "w", closefd=False) as out, ProgressLine(out, quiet=False) as line:
            line(progress(1))
            line.acknowledge()
        said = ""  # a terminal may hand out what was written bit by bit
        while not said.endswith(shown) and select.select([controller], [], [], 5)[0]:
            said += os.read(controller, 4096).decode()
        assert said.endswith(shown)
    finally:
        os.close(controller)
        os.close(terminal)


def test_an_interrupt_is_acknowledged_in_the_middle_of_a_write() -> None:
    """A handler may run where the stream is being written, which may not be entered twice."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    with os.fdopen(write, "w") as out:
        line = ProgressLine(out, quiet=False)
        out.write("begun")
        line.acknowledge()
        assert os.read(read, 4096).decode() == f"{STOPPING}\n"
    os.close(read)


def test_who_does_not_read_any_more_gets_no_acknowledgement() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as out:
        ProgressLine(out, quiet=False).acknowledge()


def test_a_pipe_gets_a_line_every_ten_seconds() -> None:
    out = io.StringIO()
    line = ProgressLine(out, quiet=False)
    for tenth in range(0, 351):
        line(progress(tenth / 10))
    line.end()
    lines = out.getvalue().splitlines()
    assert [line.split(" of ")[0].strip() for line in lines] == ["10.0", "20.0", "30.0"]


class Full(Terminal):
    """A stream that takes nothing."""

    tries = 0

    def write(self, text: str) -> int:
        self.tries += 1
        raise BrokenPipeError(32, "Broken pipe")


def test_who_stops_reading_does_not_end_the_recording() -> None:
    out = Full()
    line = ProgressLine(out, quiet=False)
    line(progress(10))
    line(progress(20))
    line.end()
    assert out.tries == 1


def test_quiet_writes_nothing() -> None:
    out = Terminal()
    line = ProgressLine(out, quiet=True)
    line.prepare("this")
    line(progress(10))
    line.acknowledge()
    line.end()
    assert out.getvalue() == ""
