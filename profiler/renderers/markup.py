"""HTML from values: what is not Markup is text from the target, and is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from profiler.renderers import numbers
from profiler.renderers.histogram import Bar, Row
from profiler.renderers.labels import LABEL_MAX, clip

_SPARK_WIDTH = 96
_SPARK_HEIGHT = 22


class Markup(str):
    """HTML that is safe to put into a page."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Return a value as HTML: Markup as it is, everything else printable, cut and escaped."""
    return value if isinstance(value, Markup) else Markup(escape(clip(value, LABEL_MAX)))


def element(name: str, *content: str, kind: str = "") -> Markup:
    """Return an element with a class, and its content."""
    attributes = f' class="{kind}"' if kind else ""
    return Markup(f"<{name}{attributes}>{''.join(map(text, content))}</{name}>")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return a table; the first column is text, the others are numbers aligned right."""
    head = element("tr", *(element("th", title) for title in titles))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    inside = element("table", element("thead", head), element("tbody", *body))
    return element("div", inside, kind="scroll")


def section(title: str, *content: str) -> Markup:
    """Return a part of the page under its title."""
    return element("section", element("h2", title), *content)


def two_lines(first: str, second: str) -> Markup:
    """Return a cell with a name and, smaller, what explains it."""
    return Markup(f"{element('b', first)}{element('small', second)}")


def share_bar(ratio: float) -> Markup:
    """Return a share with a bar behind it that is full at 1."""
    width = min(max(ratio, 0.0), 1.0) * 100
    shown = element("span", numbers.percent_cell(ratio))
    return Markup(f'<span class="share"><i style="width:{width:.1f}%"></i>{shown}</span>')


def sparkline(rows: Sequence[Bar]) -> Markup:
    """Return a histogram as small as a word; low values are at the left."""
    if not rows:
        return Markup("")
    largest = max(bar.count for bar in rows)
    step = min(_SPARK_WIDTH / len(rows), 12.0)
    drawn = "".join(
        f'<rect x="{index * step:.1f}" y="{_SPARK_HEIGHT - height:.1f}" '
        f'width="{step - 1:.1f}" height="{height:.1f}"/>'
        for index, bar in enumerate(rows)
        if (height := max(1.5, bar.count / largest * _SPARK_HEIGHT) if bar.count else 0.0)
    )
    return Markup(
        f'<svg class="spark" width="{_SPARK_WIDTH}" height="{_SPARK_HEIGHT}" aria-hidden="true">'
        f"{drawn}</svg>"
    )


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
