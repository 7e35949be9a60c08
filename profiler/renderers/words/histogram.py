"""Histograms as rows: single values where they are small, powers of two above, none left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from profiler.renderers.words.lines import WIDTH, Line
from profiler.renderers.words.numbers import duration

EXACT_BELOW = 16  # when no value is larger, every value has a row of its own

_SINGLE_BELOW = 4  # else the values below this one have
_EIGHTHS = " ▏▎▍▌▋▊▉"
_HEIGHTS = "▁▂▃▄▅▆▇█"

Slots = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Bar:
    """`count` values v with low <= v < high."""

    low: int
    high: int
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """What a bar stands for in words, its count, and that as a share of the largest count."""

    name: str
    count: int
    share: float


def count_rows(slots: Slots) -> list[Row]:
    """Return the rows of a histogram of whole numbers, each ending at its largest value."""
    made = bars(slots)
    names = [
        f"{bar.low:,}" if bar.high == bar.low + 1 else f"{bar.low:,} to {bar.high - 1:,}"
        for bar in made
    ]
    return _rows(made, names)


def time_rows(slots: Slots) -> list[Row]:
    """Return the rows of a histogram of times, each ending where the next one starts."""
    made = bars(slots, single_values=False)
    return _rows(made, [f"{duration(bar.low)} to {duration(bar.high)}" for bar in made])


def _rows(made: Sequence[Bar], names: Sequence[str]) -> list[Row]:
    largest = max((bar.count for bar in made), default=1)
    return [
        Row(name, bar.count, bar.count / largest) for name, bar in zip(names, made, strict=True)
    ]


def draw(rows: Sequence[Row], width: int = WIDTH) -> list[Line]:
    """Return one line per row: its values, its count, and a bar as long as the count is large."""
    name_width = max(len(row.name) for row in rows)
    counts = [f"{row.count:,}" for row in rows]
    count_width = max(map(len, counts))
    room = max(width - name_width - count_width - 6, 1)
    return [
        Line(f"  {row.name:>{name_width}}  {count:>{count_width}}  {_blocks(row, room)}".rstrip())
        for row, count in zip(rows, counts, strict=True)
    ]


def _blocks(row: Row, room: int) -> str:
    """Return blocks in proportion to the count; of any count at least the thinnest block."""
    eighths = max(1, round(row.share * room * 8)) if row.count else 0
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def spark(slots: Slots) -> tuple[str, str]:
    """Return a histogram as small as a word, low values at the left, and between which it lies."""
    made = bars(slots)
    if not made:
        return "", ""
    largest = max(bar.count for bar in made)
    drawn = "".join(
        _HEIGHTS[(bar.count * len(_HEIGHTS) - 1) // largest] if bar.count else " " for bar in made
    )
    low, high = made[0].low, made[-1].high - 1
    return drawn, f"{low:,}" if low == high else f"{low:,} to {high:,}"


def bars(slots: Slots, single_values: bool = True) -> tuple[Bar, ...]:
    """Return the rows of a histogram, from the first to the last that holds something.

    A slot belongs to the row of its low end and widens that row if it reaches beyond it, so that a
    row never claims values that it may not hold. Without `single_values` all are powers of two.
    """
    filled = [slot for slot in slots if slot[2]]
    if not filled:
        return ()
    narrow = single_values and filled[-1][1] <= EXACT_BELOW
    single_below = EXACT_BELOW if narrow else _SINGLE_BELOW if single_values else 1
    rows: list[Bar] = []
    start, _ = _edge(filled[0][0], single_below)
    for low, high, count in filled:
        while low >= start:
            _, end = _edge(start, single_below)
            rows.append(Bar(start, end, 0))
            start = end
        last = rows.pop()
        rows.append(Bar(last.low, max(last.high, high), last.count + count))
        start = rows[-1].high
    return tuple(rows)


def _edge(value: int, single_below: int) -> tuple[int, int]:
    """Return the row that `value` falls into."""
    if value < single_below:
        return value, value + 1
    low = 1 << (value.bit_length() - 1)
    return low, low * 2
