"""Histograms as rows: single values where they are small, powers of two above, none left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from profiler.renderers.numbers import exact

EXACT_BELOW = 16  # when no value is larger, every value has a row of its own

_SINGLE_BELOW = 4  # else the values below this one have
_EIGHTHS = " ▏▎▍▌▋▊▉"


@dataclass(frozen=True, slots=True)
class Bar:
    """`count` values v with low <= v < high."""

    low: int
    high: int
    count: int


def bars(slots: tuple[tuple[int, int, int], ...], single_values: bool = True) -> tuple[Bar, ...]:
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
    for low, high, count in filled:
        if rows and low < rows[-1].high:
            last = rows.pop()
            rows.append(Bar(last.low, max(last.high, high), last.count + count))
            continue
        if rows:
            rows += [Bar(*edge, 0) for edge in _edges(rows[-1].high, low, single_below)]
        start = rows[-1].high if rows else 0
        row_low, row_high = _edge(low, single_below)
        rows.append(Bar(max(row_low, start), max(row_high, high), count))
    return tuple(rows)


def _edge(value: int, single_below: int) -> tuple[int, int]:
    """Return the row that `value` falls into."""
    if value < single_below:
        return value, value + 1
    low = 1 << (value.bit_length() - 1)
    return low, low * 2


def _edges(start: int, stop: int, single_below: int) -> Iterator[tuple[int, int]]:
    """Yield the empty rows from `start` to before the row of `stop`."""
    while _edge(start, single_below) != _edge(stop, single_below):
        high = _edge(start, single_below)[1]
        yield start, high
        start = high


def draw(
    rows: tuple[Bar, ...], width: int, value: Callable[[int], str], is_exact: bool
) -> list[str]:
    """Return one line per row: its values, its count, and a bar as long as the count is large.

    `is_exact` says that values are whole numbers: a row ends at its largest value, and a single
    value stands alone. Else a row ends where the next one starts.
    """
    names = [name(bar, value, is_exact) for bar in rows]
    name_width = max(map(len, names), default=0)
    counts = [exact(bar.count) for bar in rows]
    count_width = max(map(len, counts), default=0)
    largest = max((bar.count for bar in rows), default=0)
    drawn = (_bar(bar.count, largest, width - name_width - count_width - 6) for bar in rows)
    return [
        f"  {label:>{name_width}}  {text:>{count_width}}  {blocks}".rstrip()
        for label, text, blocks in zip(names, counts, drawn, strict=True)
    ]


def name(bar: Bar, value: Callable[[int], str], is_exact: bool) -> str:
    """Return the values of a row in words; see `draw` for `is_exact`."""
    if is_exact and bar.high == bar.low + 1:
        return value(bar.low)
    return f"{value(bar.low)} to {value(bar.high - 1 if is_exact else bar.high)}"


def _bar(count: int, largest: int, width: int) -> str:
    """Return blocks in proportion to count; what is not nothing is at least the thinnest block."""
    if not count:
        return ""
    eighths = max(1, round(count / largest * width * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
