from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.renderers.histogram import Bar, count_rows
from profiler.renderers.markup import Markup, chart, element, share_bar, sparkline, table, text


@given(st.text())
def test_text_can_neither_open_nor_close_anything(value: str) -> None:
    shown = text(value)
    assert not set(shown) & set("<>\"'")
    assert shown.isprintable()


def test_markup_is_left_as_it_is() -> None:
    assert text(Markup("<b>x</b>")) == "<b>x</b>"


def test_an_element_escapes_its_content() -> None:
    assert element("p", "a<b", kind="bad") == '<p class="bad">a&lt;b</p>'


def test_a_table_has_one_cell_for_each_value() -> None:
    made = table(("name", "n"), [("<a>", "1")])
    assert made == (
        '<div class="scroll"><table><thead><tr><th>name</th><th>n</th></tr></thead>'
        "<tbody><tr><td>&lt;a&gt;</td><td>1</td></tr></tbody></table></div>"
    )


def test_a_share_bar_never_leaves_its_cell() -> None:
    assert "width:50.0%" in share_bar(0.5)
    assert "width:100.0%" in share_bar(2.5)


def test_a_sparkline_has_one_bar_for_each_filled_row() -> None:
    drawn = sparkline((Bar(0, 1, 100), Bar(1, 2, 0), Bar(2, 4, 1)))
    assert drawn.count("<rect") == 2
    assert 'height="22.0"' in drawn and 'height="1.5"' in drawn
    assert sparkline(()) == ""


def test_a_chart_shows_rare_values_as_some() -> None:
    drawn = chart(count_rows(((0, 1, 10_000), (2, 3, 1))))
    assert drawn.count("class=some") == 2
    assert "width:0.01%" in drawn and "width:0.00%" in drawn
