from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.renderers.lines import Line, heading, wrapped


def test_a_section_starts_with_an_empty_line() -> None:
    assert heading("GROWTH", "why") == [Line(""), Line("GROWTH  (why)", "heading")]
    assert heading("GROWTH")[1].text == "GROWTH"


def test_further_lines_are_indented_as_far_as_the_first() -> None:
    lines = wrapped("    -> ", "word " * 30, "bad")
    assert [line.text[:11] for line in lines] == ["    -> word", *["       word"] * 2]
    assert {line.style for line in lines} == {"bad"}


@given(st.text("ab ", min_size=1, max_size=400))
def test_no_line_is_wider_than_the_terminal(text: str) -> None:
    assert all(len(line.text) <= 80 for line in wrapped("  ", text))
