"""Lines of the terminal reports: text of at most 80 columns, and what it means."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

WIDTH = 80


class Line(NamedTuple):
    """One line; `style` is "", heading, bad, good or dim."""

    text: str
    style: str = ""


def heading(title: str, explanation: str = "") -> list[Line]:
    """Return an empty line and the title of a section."""
    text = f"{title}  ({explanation})" if explanation else title
    return [Line(""), Line(text, "heading")]


def wrapped(prefix: str, text: str = "", style: str = "") -> list[Line]:
    """Return text in as many lines as it needs, each indented as far as the prefix is long."""
    if not text:
        prefix, text = "", prefix
    made = textwrap.wrap(text, WIDTH, initial_indent=prefix, subsequent_indent=" " * len(prefix))
    return [Line(line, style) for line in made]
