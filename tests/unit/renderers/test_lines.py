from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.renderers.lines import Line, heading, table, wrapped


def test_a_section_starts_with_an_empty_line() -> None:
    assert heading("GROWTH", "why") == [Line(""), Line("GROWTH  (why)", "heading")]
    assert heading("GROWTH")[1].text == "GROWTH"


def test_further_lines_are_indented_as_far_as_the_first() -> None:
    lines = wrapped("    -> ", "word " * 30, "bad")
    assert [line.text[:11] for line in lines] == ["    -> word", *["       word"] * 2]
    assert {line.style for line in lines} == {"bad"}


@given(st.text("ab ", max_size=400))
def test_no_line_is_wider_than_the_terminal(text: str) -> None:
    assert all(len(line.text) <= 80 for line in wrapped("  ", text))


def test_the_first_column_takes_what_the_others_leave() -> None:
    assert table(("name", "n"), [("short", "1"), ("x" * 500, "1,000")]) == [
        Line("  name" + " " * 73 + "n"),
        Line("  short" + " " * 72 + "1"),
        Line(f"  {'x' * 70}…  1,000"),
    ]


def test_numbers_that_fill_the_line_leave_one_character_of_the_name() -> None:
    assert table(("name", "n"), [("short", "1" * 90)])[1].text == f"  …  {'1' * 90}"
