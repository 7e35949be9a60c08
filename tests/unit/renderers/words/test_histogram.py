from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.renderers.words.histogram import Bar, bars, count_rows, draw, spark, time_rows
from profiler.renderers.words.lines import Line


@st.composite
def slots(draw) -> tuple[tuple[int, int, int], ...]:
    edges = sorted(set(draw(st.lists(st.integers(0, 2**40), min_size=2, max_size=30))))
    counts = st.integers(0, 1_000)
    pairs = zip(edges, edges[1:], strict=False)
    return tuple((low, high, draw(counts)) for low, high in pairs if draw(st.booleans()))


def test_small_values_stand_alone() -> None:
    assert bars(((0, 1, 4), (1, 2, 12), (3, 4, 1))) == (
        Bar(0, 1, 4),
        Bar(1, 2, 12),
        Bar(2, 3, 0),
        Bar(3, 4, 1),
    )


def test_large_values_share_powers_of_two_and_gaps_are_shown() -> None:
    assert bars(((3, 4, 5), (17, 18, 2), (20, 24, 1))) == (
        Bar(3, 4, 5),
        Bar(4, 8, 0),
        Bar(8, 16, 0),
        Bar(16, 32, 3),
    )


def test_a_slot_beyond_its_row_widens_the_row() -> None:
    assert bars(((3, 9, 5), (20, 21, 1))) == (Bar(3, 9, 5), Bar(9, 16, 0), Bar(16, 32, 1))


def test_nothing_gives_no_row() -> None:
    assert bars(()) == bars(((0, 1, 0),)) == ()


@given(slots(), st.booleans())
def test_rows_keep_the_count_and_join_without_gap_or_overlap(rows, single_values: bool) -> None:
    made = bars(rows, single_values)
    assert sum(bar.count for bar in made) == sum(count for _, _, count in rows)
    assert all(first.high == second.low for first, second in zip(made, made[1:], strict=False))
    assert not made or (made[0].count and made[-1].count)


@given(slots(), st.booleans())
def test_every_slot_lies_inside_one_row(rows, single_values: bool) -> None:
    made = bars(rows, single_values)
    for low, high, count in rows:
        assert not count or any(bar.low <= low and high <= bar.high for bar in made)


def test_drawing_fills_the_width_and_shows_rare_values() -> None:
    rows = count_rows(((0, 1, 1), (17, 32, 1_000)))
    assert [line.text for line in draw(rows)] == [
        "         0      1  ▏",
        "         1      0",
        "         2      0",
        "         3      0",
        "    4 to 7      0",
        "   8 to 15      0",
        "  16 to 31  1,000  " + "█" * 61,
    ]


def test_a_row_of_times_ends_where_the_next_one_starts() -> None:
    assert draw(time_rows(((512, 1024, 1),))) == [Line("  512 ns to 1.02 us  1  " + "█" * 56)]


@given(slots())
def test_no_line_is_wider_than_80(rows) -> None:
    for made in (count_rows(rows), time_rows(rows)):
        assert all(len(line.text) <= 80 for line in (draw(made) if made else ()))


def test_a_spark_has_a_height_for_each_row_and_a_scale() -> None:
    assert spark(((0, 1, 100), (2, 3, 1), (4, 5, 50))) == ("█ ▁ ▄", "0 to 4")
    assert spark(((7, 8, 3),)) == ("█", "7")
    assert spark(()) == ("", "")
