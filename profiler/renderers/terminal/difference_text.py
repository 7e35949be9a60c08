"""The difference of two profiles on the terminal: the largest change first."""

from __future__ import annotations

from typing import TextIO

from profiler.model.difference import ContainerChanges, CpuChanges, Difference
from profiler.renderers.terminal.text import write
from profiler.renderers.words import numbers
from profiler.renderers.words.difference_labels import (
    UNITS,
    container_cells,
    facts,
    no_change,
    signed_percent,
    within_error,
)
from profiler.renderers.words.lines import Line, heading, table, width_of, wrapped

_ROWS_MAX = 10
_TITLES = ("before", "after", "change")


def render(difference: Difference, out: TextIO) -> None:
    """Write what changed; in colour only on a terminal."""
    write(report(difference, width_of(out)), out)


def report(difference: Difference, width: int) -> list[Line]:
    """Return the lines, none wider than the terminal."""
    made = _header(difference, width)
    if said := no_change(difference):
        return [*made, Line(""), *wrapped("", said, "good", width)]
    made += _cpu("THREADS", difference.threads, width)
    if difference.containers:
        made += _containers(difference.containers, width)
    made += _cpu("FUNCTIONS with what they call", difference.functions, width)
    made.append(Line(""))
    for words in (UNITS, within_error(difference)):
        made += wrapped("", words, "dim", width)
    return made


def _header(difference: Difference, width: int) -> list[Line]:
    made = table(("", "BEFORE", "AFTER"), list(facts(difference)), width)
    for note in difference.notes:
        made += wrapped("! ", note, "bad", width)
    return made


def _cpu(title: str, changes: CpuChanges, width: int) -> list[Line]:
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
    return heading(title, "", width) + table(("", *_TITLES), rows, width) + _rest(changes)


def _containers(changes: ContainerChanges, width: int) -> list[Line]:
    rows = [(one.name, *container_cells(one)) for one in changes.changed[:_ROWS_MAX]]
    if not rows:
        return []
    made = heading("CONTAINERS", "time of lookups, of the window", width)
    return made + table(("", *_TITLES, "lookups/s", "elements"), rows, width) + _rest(changes)


def _rest(changes: CpuChanges | ContainerChanges) -> list[Line]:
    left_out = len(changes.changed) - _ROWS_MAX
    return [Line(f"  and {left_out:,} smaller changes", "dim")] if left_out > 0 else []
