from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.renderers.page.markup import Markup, chart, element, text
from profiler.renderers.words.histogram import count_rows


@given(st.text())
def test_text_can_neither_open_nor_close_anything(value: str) -> None:
    shown = text(value)
    assert not set(shown) & set("<>\"'")
    assert shown.isprintable()


def test_markup_is_left_as_it_is() -> None:
    assert text(Markup("<b>x</b>")) == "<b>x</b>"


def test_an_element_escapes_its_content() -> None:
    assert element("p", "a<b", kind="bad") == '<p class="bad">a&lt;b</p>'


def test_no_sentence_is_cut() -> None:
    sentence = "kernel.perf_event_paranoid " * 100
    assert text(sentence) == sentence


def test_what_a_forged_recording_holds_is_bounded() -> None:
    assert len(text("x" * 1_000_000)) == 10_000


def test_a_chart_shows_rare_values_as_some() -> None:
    drawn = chart(count_rows(((0, 1, 10_000), (2, 3, 1))))
    assert drawn.count("class=some") == 2
    assert "width:0.01%" in drawn and "width:0.00%" in drawn
