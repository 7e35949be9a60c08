from __future__ import annotations

from profiler.renderers.tables import table


def test_the_first_column_takes_what_the_others_leave() -> None:
    assert table(("name", "n"), [("short", "1"), ("much too long", "1,000")], 19) == [
        "  name            n",
        "  short           1",
        "  much too …  1,000",
    ]


def test_no_line_is_wider_than_asked() -> None:
    rows = [("x" * 500, "1", "22"), ("y", "333", "4")]
    assert max(map(len, table(("a", "b", "c"), rows, 80))) == 80


def test_numbers_that_fill_the_line_leave_one_character_of_the_name() -> None:
    assert table(("name", "n"), [("short", "1" * 30)], 20)[1] == f"  …  {'1' * 30}"
