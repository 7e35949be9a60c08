from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.renderers.words.lines import Line, heading, table, width_of, wrapped


def test_a_section_starts_with_an_empty_line() -> None:
    assert heading("GROWTH", "why") == [Line(""), Line("GROWTH  (why)", "heading")]
    assert heading("GROWTH")[1].text == "GROWTH"


def test_further_lines_are_indented_as_far_as_the_first() -> None:
    lines = wrapped("    -> ", "word " * 30, "bad")
    assert [line.text[:11] for line in lines] == ["    -> word", *["       word"] * 2]
    assert {line.style for line in lines} == {"bad"}


@given(st.text("ab-", max_size=400), st.integers(20, 200))
def test_no_line_is_wider_than_the_terminal(text: str, width: int) -> None:
    assert all(len(line.text) <= width for line in wrapped("  ", text, "", width))


def test_options_and_paths_are_not_broken_at_their_hyphens() -> None:
    (first, *_) = wrapped("", "see what comes with ebpf-prof report --full", "", 30)
    assert first.text == "see what comes with ebpf-prof"


def test_paragraphs_are_whole_up_to_what_only_hostile_names_reach() -> None:
    def letters(count: int) -> int:
        return sum(line.text.count("a") for line in wrapped("", "a" * count))

    assert [letters(count) for count in (301, 2_000, 2_001)] == [301, 2_000, 1_999]


def test_the_first_column_takes_what_the_others_leave() -> None:
    assert table(("name", "n"), [("short", "1"), ("x" * 71, "1,000")]) == [
        Line("  name" + " " * 73 + "n"),
        Line("  short" + " " * 72 + "1"),
        Line(f"  {'x' * 71}  1,000"),
    ]


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_names_that_are_too_long_for_their_column_have_lines_of_their_own(width: int) -> None:
    room = width - 2
    rows = [("x" * room, "1,000"), ("y" * (room + 1), "7")]
    assert table(("name", "n"), rows, width)[1:] == [
        Line("  " + "x" * room),
        Line("1,000".rjust(width)),
        Line("  " + "y" * room),
        Line("  y"),
        Line("7".rjust(width)),
    ]


def test_where_a_terminal_is_narrow_rows_are_paragraphs() -> None:
    rows = [("a_function_with_a_name", "12.5 %", "1,000", "7.1 ms")]
    titles = ("", "CPU", "lookups/s", "time")
    assert [line.text for line in table(titles, rows, 40)] == [
        "  a_function_with_a_name",
        "    CPU 12.5 %, lookups/s 1,000, time",
        "    7.1 ms",
    ]
    assert table(("name", "n"), [("short", "1" * 90)])[0].text == "  short"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("columns", "width"),
    [("100", 100), ("7", 20), ("99999999", 1_000), ("", 80), ("wide", 80), ("0", 80), ("²", 80)],
)
def test_the_width_is_what_columns_says(
    monkeypatch: pytest.MonkeyPatch, columns: str, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert width_of(io.StringIO()) == width_of(Terminal()) == width


def test_else_it_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    parent, child = pty.openpty()
    with os.fdopen(parent, "rb", buffering=0), os.fdopen(child, "w") as terminal:
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 132, 0, 0))
        assert width_of(terminal) == 132
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
        assert width_of(terminal) == 80
    assert width_of(io.StringIO()) == 80
