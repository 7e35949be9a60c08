from __future__ import annotations

import io

from profiler.cli.progress import ProgressLine, progress_text
from profiler.record.progress import Progress

SECOND_NS = 1_000_000_000


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
    line(progress(10))
    line.end()
    assert out.getvalue() == ""
