"""Lines of the terminal reports: text that fits the terminal, and what it means."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple, TextIO

from profiler.renderers.words.labels import LABEL_MAX, clip

WIDTH = 80  # where nobody says how wide the terminal is
_WIDTH_MIN, _WIDTH_MAX = 20, 1_000
_GAP = "  "
_LEAST_FIRST = 16  # characters of the first column: with less, rows become paragraphs
PARAGRAPH_MAX = 2_000  # characters: ours are far shorter, names of a hostile target may not be


class Line(NamedTuple):
    """One line; `style` is "", heading, bad, good or dim."""

    text: str
    style: str = ""


def width_of(out: TextIO) -> int:
    """Return how many columns `out` has: as COLUMNS says, or the terminal; else 80."""
    columns = os.environ.get("COLUMNS", "")
    found = int(columns) if columns.isascii() and columns.isdecimal() else 0
    if not found and out.isatty():
        with suppress(OSError):
            found = os.get_terminal_size(out.fileno()).columns
    return max(_WIDTH_MIN, min(found, _WIDTH_MAX)) if found else WIDTH


def heading(title: str, explanation: str = "", width: int = WIDTH) -> list[Line]:
    """Return an empty line and the title of a section."""
    text = f"{title}  ({explanation})" if explanation else title
    return [Line(""), *wrapped("", text, "heading", width)]


def wrapped(prefix: str, text: str, style: str = "", width: int = WIDTH) -> list[Line]:
    """Return text in as many lines as it needs, each indented as far as the prefix is long."""
    made = textwrap.wrap(
        clip(text, PARAGRAPH_MAX),
        width,
        initial_indent=prefix,
        subsequent_indent=" " * len(prefix),
        break_on_hyphens=False,  # which would break options and paths
    )
    return [Line(line.rstrip(), style) for line in made]


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int = WIDTH) -> list[Line]:
    """Return the title line, and one line per row or more."""
    return [line for row in table_rows(titles, rows, width) for line in row]


def table_rows(
    titles: Sequence[str], rows: Sequence[Sequence[str]], width: int = WIDTH
) -> list[list[Line]]:
    """Return the lines of the titles, then those of each row.

    The first column is aligned left and takes what the others leave; those are aligned right. What
    is too long for it has lines of its own. Where a terminal is too narrow, rows are paragraphs.
    """
    widths = [max(len(row[at]) for row in (titles, *rows)) for at in range(1, len(titles))]
    first_width = width - sum(widths) - len(_GAP) * len(titles)
    if first_width < _LEAST_FIRST:
        return [[], *(_paragraph(titles, row, width) for row in rows)]
    made = []
    for first, *others in (titles, *rows):
        name = clip(first, LABEL_MAX)
        alone = wrapped(_GAP, name, "", width) if len(name) > first_width else []
        cells = [f"{'' if alone else name:<{first_width}}"]
        cells += [f"{cell:>{room}}" for cell, room in zip(others, widths, strict=True)]
        made.append([*alone, Line((_GAP + _GAP.join(cells)).rstrip())])
    return made


def _paragraph(titles: Sequence[str], row: Sequence[str], width: int) -> list[Line]:
    named = ", ".join(f"{title} {cell}" for title, cell in zip(titles[1:], row[1:], strict=True))
    name = clip(row[0], LABEL_MAX)
    return wrapped(_GAP, name, "", width) + wrapped(_GAP * 2, named, "", width)
