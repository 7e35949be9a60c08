"""HTML from values: what is not Markup is text from the target, and is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from profiler.renderers.histogram import Bar
from profiler.renderers.labels import LABEL_MAX, clip

_SPARK_WIDTH = 96
_SPARK_HEIGHT = 22


class Markup(str):
    """HTML that is safe to put into a page."""

    __slots__ = ()


def text(value: str) -> Markup:
    """Return a value as HTML: Markup as it is, everything else printable, cut and escaped."""
    return value if isinstance(value, Markup) else Markup(escape(clip(value, LABEL_MAX)))


def element(name: str, *content: str, kind: str = "", title: str = "") -> Markup:
    """Return an element with a class and a title, and its content."""
    attributes = f' class="{kind}"' if kind else ""
    attributes += f' title="{text(title)}"' if title else ""
    return Markup(f"<{name}{attributes}>{''.join(map(text, content))}</{name}>")


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return a table; the first column is text, the others are numbers aligned right."""
    head = element("tr", *(element("th", title) for title in titles))
    body = [element("tr", *(element("td", cell) for cell in row)) for row in rows]
    inside = element("table", element("thead", head), element("tbody", *body))
    return element("div", inside, kind="scroll")


def two_lines(first: str, second: str) -> Markup:
    """Return a cell with a name and, smaller, what explains it."""
    return Markup(f"{element('b', first)}{element('small', second)}")


def share_bar(ratio: float | None, shown: str) -> Markup:
    """Return a number with a bar behind it that is full at 1."""
    if ratio is None:
        return text(shown)
    width = min(max(ratio, 0.0), 1.0) * 100
    return Markup(
        f'<span class="share"><i style="width:{width:.1f}%"></i>{element("span", shown)}</span>'
    )


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


def chart(rows: Sequence[Bar], names: Sequence[str], counts: Sequence[str]) -> Markup:
    """Return a histogram as a table of names, bars and counts."""
    largest = max((bar.count for bar in rows), default=0)
    lines = [
        Markup(
            f"<tr><th>{text(name)}</th><td>"
            f'<i style="width:{bar.count / largest * 100 if largest else 0:.2f}%"'
            f"{' class=some' if bar.count else ''}></i></td><td>{text(count)}</td></tr>"
        )
        for bar, name, count in zip(rows, names, counts, strict=True)
    ]
    return element("table", *lines, kind="chart")
