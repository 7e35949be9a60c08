"""Tables of plain text: a first column that takes what is left, others as wide as their cells."""

from __future__ import annotations

from collections.abc import Sequence

from profiler.renderers.labels import clip

_GAP = "  "


def table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], width: int, flexible: int = 0
) -> list[str]:
    """Return the title line and one line per row, none wider than `width` if the numbers fit.

    The column `flexible` is aligned left and cut where it must be; the others are aligned right.
    """
    widths = [max(len(row[column]) for row in (titles, *rows)) for column in range(len(titles))]
    taken = sum(widths) - widths[flexible] + len(_GAP) * len(titles)
    widths[flexible] = max(width - taken, 1)
    return [_line(row, widths, flexible) for row in (titles, *rows)]


def _line(cells: Sequence[str], widths: Sequence[int], flexible: int) -> str:
    shown = (
        f"{clip(cell, width):<{width}}" if column == flexible else f"{cell:>{width}}"
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return (_GAP + _GAP.join(shown)).rstrip()
