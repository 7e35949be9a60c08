"""Lines of the terminal reports: text of at most 80 columns, and what it means."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from profiler.renderers.labels import clip

WIDTH = 80
_GAP = "  "


class Line(NamedTuple):
    """One line; `style` is "", heading, bad, good or dim."""

    text: str
    style: str = ""


def heading(title: str, explanation: str = "") -> list[Line]:
    """Return an empty line and the title of a section."""
    text = f"{title}  ({explanation})" if explanation else title
    return [Line(""), Line(text, "heading")]


def wrapped(prefix: str, text: str, style: str = "") -> list[Line]:
    """Return text in as many lines as it needs, each indented as far as the prefix is long."""
    made = textwrap.wrap(text, WIDTH, initial_indent=prefix, subsequent_indent=" " * len(prefix))
    return [Line(line, style) for line in made]


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Line]:
    """Return the title line and one line per row.

    The first column is aligned left and takes what the others leave; those are aligned right.
    """
    widths = [max(len(row[at]) for row in (titles, *rows)) for at in range(1, len(titles))]
    first_width = max(WIDTH - sum(widths) - len(_GAP) * len(titles), 1)
    made = []
    for first, *others in (titles, *rows):
        cells = [f"{clip(first, first_width):<{first_width}}"]
        cells += [f"{cell:>{width}}" for cell, width in zip(others, widths, strict=True)]
        made.append(Line((_GAP + _GAP.join(cells)).rstrip()))
    return made
