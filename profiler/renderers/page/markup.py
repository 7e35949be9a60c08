"""HTML from values: what is not Markup is text from the target, and is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from profiler.renderers.words.histogram import Row
from profiler.renderers.words.labels import clip

# No sentence of ours is so long: it bounds what a forged recording puts into one.
_TEXT_MAX = 10_000


class Markup(str):
    """HTML that is safe to put into a page."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Return a value as HTML: Markup as it is, everything else printable and escaped."""
    return value if isinstance(value, Markup) else Markup(escape(clip(value, _TEXT_MAX)))


def element(name: str, *content: str, kind: str = "") -> Markup:
    """Return an element with a class, and its content."""
    attributes = f' class="{kind}"' if kind else ""
    return Markup(f"<{name}{attributes}>{''.join(map(text, content))}</{name}>")


def chart(rows: Sequence[Row]) -> Markup:
    """Return a histogram as a table of names, bars and counts."""
    lines = [
        Markup(
            f'<tr><th>{text(row.name)}</th><td><i style="width:{row.share * 100:.2f}%"'
            f"{' class=some' if row.count else ''}></i></td><td>{row.count:,}</td></tr>"
        )
        for row in rows
    ]
    return element("table", *lines, kind="chart")
