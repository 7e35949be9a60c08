"""Tables of the page. The first rows are HTML; report.js makes the others from data when needed.

Thousands of rows as HTML would make a page of tens of MB. As data they are small, because equal
texts are in it once.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from profiler.renderers.page.markup import Markup, element, text
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import printable

ROWS_WRITTEN = 100  # as HTML: what a page without scripts shows
_KEY = "\0"  # stands for the key of a row in its texts; nothing that is printable holds it


@dataclass(frozen=True, slots=True)
class Link:
    """Words that lead to a place on this page; `frame`: the frame to open in the graph there."""

    words: str
    target: str
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """Lines of text, the first one large; `share` draws a bar behind it that is full at 1."""

    lines: tuple[str, ...]
    share: float | None = None
    kind: str = ""  # good or bad


@dataclass(frozen=True, slots=True)
class Row:
    """What a table shows of one thing, and where its links lead.

    `key`: what its texts have in them and those of other rows have not, such as its address.
    """

    anchor: str
    cells: tuple[Cell, ...]
    links: tuple[Link, ...] = ()
    key: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A title; `kind` is "" for text, "bar", or "spark" for a histogram as small as a word."""

    title: str
    kind: str = ""


def lines(first: str, *others: str) -> Cell:
    """Return a cell of lines without those that are empty."""
    return Cell((first, *filter(None, others)))


def share(ratio: float, *others: str) -> Cell:
    """Return a share of one, with a bar."""
    return Cell((numbers.percent_cell(ratio), *others), share=ratio)


def table(columns: Sequence[Column], rows: Sequence[Row]) -> Markup:
    """Return a table; the first column is text, the others are numbers aligned right."""
    head = "".join(f"<th{_class(column.kind)}>{text(column.title)}</th>" for column in columns)
    body = "".join(_row(columns, row) for row in rows[:ROWS_WRITTEN])
    drawn = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return Markup(
        f'<div class="rows"><div class="scroll">{drawn}</div>{_others(rows[ROWS_WRITTEN:])}</div>'
    )


def link(to: Link) -> Markup:
    """Return a link."""
    frame = f' data-frame="{escape(printable(to.frame))}"' if to.frame else ""
    return Markup(f'<a href="#{escape(to.target)}"{frame}>{text(to.words)}</a>')


def _row(columns: Sequence[Column], row: Row) -> str:
    links = element("small", *map(link, row.links), kind="links") if row.links else ""
    first, *others = (
        _cell(column.kind, cell) for column, cell in zip(columns, row.cells, strict=True)
    )
    cells = "".join(f"<td>{cell}</td>" for cell in (first + links, *others))
    return f'<tr id="{escape(row.anchor)}">{cells}</tr>'


def _cell(column_kind: str, cell: Cell) -> str:
    first, *others = cell.lines
    kind = " ".join(filter(None, (column_kind, cell.kind)))
    bar = ""
    if cell.share is not None:
        bar = f'<i style="width:{min(max(cell.share, 0.0), 1.0) * 100:.1f}%"></i>'
    below = "".join(element("small", line) for line in others)
    return f"<b{_class(kind)}>{bar}<span>{text(first)}</span></b>{below}"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


def _others(rows: Sequence[Row]) -> str:
    """Return rows as data in an element that shows nothing."""
    if not rows:
        return ""
    known: dict[str, int] = {}

    def number(row: Row, value: str) -> int:
        return known.setdefault(value.replace(row.key, _KEY) if row.key else value, len(known))

    packed = [(row.key, *(number(row, value) for value in _values(row))) for row in rows]
    data = {"rows": packed, "texts": list(known)}
    written = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    left_out = f"{numbers.counted(len(rows), 'more row')}: with scripts, or in profile.json."
    return (
        f"<template>{escape(written, quote=False)}</template>"
        f'<noscript><p class="faint">{left_out}</p></noscript>'
    )


def _values(row: Row) -> Iterator[str]:
    """Yield the texts that report.js takes apart: the anchor, the links, and each cell."""
    yield row.anchor
    yield "\n".join(f"{printable(to.words)}\t{to.target}\t{to.frame}" for to in row.links)
    for cell in row.cells:
        yield "\n".join(map(printable, cell.lines))
