"""Tables of results: for the terminal, and for docs/overhead.md. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from profiler.report.aggregate import spread


@dataclass(frozen=True, slots=True)
class Table:
    """What one benchmark found; `verdicts` say which promises held."""

    name: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    verdicts: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the table in columns."""
        widths = [max(map(len, column)) for column in zip(self.headings, *self.rows, strict=True)]
        lines = [_line(row, widths) for row in (self.headings, *self.rows)]
        return "\n".join([self.name, *lines, *self.verdicts])

    def markdown(self) -> str:
        """Return the table in Markdown, with the command that repeats it."""
        marks = ["---", *("---:" for _ in self.headings[1:])]
        lines = [_row(row) for row in (self.headings, marks, *self.rows)]
        verdicts = [f"- {verdict}" for verdict in self.verdicts]
        return "\n".join([*lines, "", *verdicts, "", f"Repeat: `sudo python -m bench {self.name}`"])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join([first.strip().ljust(widths[0]), *others]).rstrip()


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def estimate_cell(estimated: float, variance: float | None, true: float) -> str:
    """Return an estimate over the true number, with its 95 % interval if it is no lower bound."""
    if variance is None:
        return f"at least {estimated / true:.3f}"
    ratio, factor = estimated / true, spread(variance**0.5 / estimated)
    return f"{ratio:.3f} [{ratio / factor:.2f}, {ratio * factor:.2f}]"


def promise(words: str, holds: bool) -> str:
    """Return a promise with what became of it."""
    return f"{'holds' if holds else 'DOES NOT HOLD'}: {words}"


def replace_between(text: str, name: str, content: str) -> str:
    """Return a document with what is between the marks of that name replaced.

    ValueError when it has no such marks.
    """
    begin, end = f"<!-- bench {name} -->\n", f"<!-- end {name} -->"
    head, found, rest = text.partition(begin)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no place for {name}")
    return head + begin + content + "\n" + end + tail
