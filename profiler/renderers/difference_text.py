"""The difference of two profiles on the terminal: 80 columns, the largest change first."""

from __future__ import annotations

from typing import TextIO

from profiler.model.difference import ContainerChanges, CpuChanges, Difference
from profiler.renderers import numbers
from profiler.renderers.difference_labels import (
    UNITS,
    container_cells,
    facts,
    no_change,
    signed_percent,
    within_error,
)
from profiler.renderers.labels import clip
from profiler.renderers.lines import WIDTH, Line, heading, table, wrapped
from profiler.renderers.text import write

_ROWS_MAX = 10
_TITLES = ("before", "after", "change")
_NAME_WIDTH = 10
_FACT_WIDTH = (WIDTH - _NAME_WIDTH) // 2 - 2


def render(difference: Difference, out: TextIO) -> None:
    """Write what changed; in colour only on a terminal."""
    write(report(difference), out)


def report(difference: Difference) -> list[Line]:
    """Return the lines, none wider than 80 columns."""
    made = _header(difference)
    if said := no_change(difference):
        return [*made, Line(""), Line(said, "good")]
    made += _cpu("THREADS", difference.threads)
    if difference.containers:
        made += _containers(difference.containers)
    made += _cpu("FUNCTIONS with what they call", difference.functions)
    made.append(Line(""))
    for words in (UNITS, within_error(difference)):
        made += wrapped("", words, "dim")
    return made


def _header(difference: Difference) -> list[Line]:
    made = [_fact("", "BEFORE", "AFTER", "heading")]
    made += [_fact(*fact) for fact in facts(difference)]
    for note in difference.notes:
        made += wrapped("! ", clip(note, 300), "bad")
    return made


def _fact(name: str, before: str, after: str, style: str = "") -> Line:
    cells = (clip(before, _FACT_WIDTH), clip(after, _FACT_WIDTH))
    return Line(f"{name:<{_NAME_WIDTH}}{cells[0]:<{_FACT_WIDTH}}  {cells[1]}".rstrip(), style)


def _cpu(title: str, changes: CpuChanges) -> list[Line]:
    rows = [
        (
            item.names[0],
            numbers.percent_cell(item.before_ratio),
            numbers.percent_cell(item.after_ratio),
            signed_percent(item.delta_ratio),
        )
        for item in changes.changed[:_ROWS_MAX]
    ]
    if not rows:
        return []
    return heading(title) + table(("", *_TITLES), rows) + _rest(changes)


def _containers(changes: ContainerChanges) -> list[Line]:
    rows = [(one.name, *container_cells(one)) for one in changes.changed[:_ROWS_MAX]]
    if not rows:
        return []
    made = heading("CONTAINERS", "time of lookups, of the window")
    return made + table(("", *_TITLES, "lookups/s", "elements"), rows) + _rest(changes)


def _rest(changes: CpuChanges | ContainerChanges) -> list[Line]:
    left_out = len(changes.changed) - _ROWS_MAX
    return [Line(f"  and {left_out:,} smaller changes", "dim")] if left_out > 0 else []
