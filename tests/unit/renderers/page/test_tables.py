from __future__ import annotations

import json
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from profiler.renderers.page.tables import Column, Link, Row, lines, link, share, table
from tests.hostile_names import HOSTILE_NAME

COLUMNS = (Column("name"), Column("n", "bar"))


def data(made: str) -> dict:
    packed = made[made.index("<template>") + len("<template>") : made.index("</template>")]
    assert "<" not in packed
    return json.loads(unescape(packed))


def many(*last: Row) -> str:
    row = Row("first", (lines("a"), lines("1")))
    return table(COLUMNS, (*[row] * 100, *last))


def test_a_row_is_written_with_all_its_lines_and_links() -> None:
    row = Row("a-1", (lines("<a>", "", "below"), share(0.5)), (Link("to b", "b", "f<"),))
    assert table(COLUMNS, [row]) == (
        '<div class="rows"><div class="scroll"><table><thead><tr><th>name</th>'
        '<th class="bar">n</th></tr></thead><tbody><tr id="a-1"><td><b><span>&lt;a&gt;</span></b>'
        '<small>below</small><small class="links"><a href="#b" data-frame="f&lt;">to b</a></small>'
        '</td><td><b class="bar"><i style="width:50.0%"></i><span>50.0 %</span></b></td></tr>'
        "</tbody></table></div></div>"
    )


def test_a_bar_never_leaves_its_cell() -> None:
    made = table(COLUMNS, [Row("a", (lines("a"), share(2.5)))])
    assert "width:100.0%" in made and "250.0 %" in made


def test_texts_that_differ_by_their_key_only_are_kept_once() -> None:
    rows = [
        Row(f"row-{key}", (lines(f"hash at 0x{key}"), lines("1")), (Link("to", key),), key)
        for key in ("7f01", "7f02")
    ]
    found = data(many(*rows))
    assert found["rows"] == [["7f01", 0, 1, 2, 3], ["7f02", 0, 1, 2, 3]]
    assert found["texts"] == ["row-\0", "to\t\0\t", "hash at 0x\0", "1"]


def test_hostile_names_are_only_text_in_data() -> None:
    made = many(Row("a", (lines(HOSTILE_NAME, HOSTILE_NAME), lines("1"))))
    assert made.isprintable()
    first, second = data(made)["texts"][2].split("\n")
    assert first == second
    assert first.startswith("<script>alert('x')</script>;") and first.isprintable()


@given(st.text(), st.text())
def test_a_link_can_neither_open_nor_close_anything(words: str, frame: str) -> None:
    made = link(Link(words, "there", frame))
    assert made.count("<") == made.count(">") == 2
    assert made.count('"') == (4 if frame else 2)
    assert made.isprintable()
