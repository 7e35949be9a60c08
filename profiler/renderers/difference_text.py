"""The difference of two profiles on the terminal: 80 columns, the largest change first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from profiler.model.difference import ContainerChange, CpuChange, Difference
from profiler.renderers import numbers
from profiler.renderers.lines import Line, heading, table
from profiler.renderers.text import write

_ROWS_MAX = 10
_TITLES = ("before", "after", "change")


def render(difference: Difference, out: TextIO) -> None:
    """Write what changed; in colour only on a terminal."""
    write(report(difference), out)


def report(difference: Difference) -> list[Line]:
    """Return the lines, none wider than 80 columns."""
    if difference.is_empty():
        return [Line("No difference.", "good")]
    made = [Line("Shares are of one CPU, rates are per second of each window.", "heading")]
    made += _cpu("THREADS", difference.threads)
    made += _containers(difference.containers)
    made += _cpu("FUNCTIONS with what they call", difference.functions)
    return made + _cpu("STACKS, innermost frame first", difference.stacks)


def _cpu(title: str, changes: Sequence[CpuChange]) -> list[Line]:
    """Return the changes that are larger than chance explains."""
    clear = [item for item in changes if abs(item.delta_ratio) > (item.noise_ratio or 0.0)]
    made = heading(title) if changes else []
    if clear:
        rows = [
            (
                " <- ".join(reversed(item.names)),
                numbers.percent_cell(item.before_ratio),
                numbers.percent_cell(item.after_ratio),
                _signed(item.delta_ratio),
            )
            for item in clear[:_ROWS_MAX]
        ]
        made += table(("", *_TITLES), rows)
    if len(clear) > _ROWS_MAX:
        made.append(Line(f"  and {len(clear) - _ROWS_MAX} smaller changes", "dim"))
    if len(clear) < len(changes):
        words = f"{len(changes) - len(clear)} changes no larger than chance explains"
        made.append(Line(f"  {words}", "dim"))
    return made


def _containers(changes: Sequence[ContainerChange]) -> list[Line]:
    if not changes:
        return []
    made = heading("CONTAINERS", "time of lookups, of the window")
    rows = []
    for change in changes[:_ROWS_MAX]:
        loads = (change.before, change.after)
        shares = (numbers.percent_cell(load.duration_ratio if load else None) for load in loads)
        rates = (numbers.short(load.lookups_hz if load else None) for load in loads)
        elements = (numbers.short(load.elements if load else None) for load in loads)
        signed = _signed(change.delta_ratio)
        rows.append((change.name, *shares, signed, " > ".join(rates), " > ".join(elements)))
    made += table(("", *_TITLES, "lookups/s", "elements"), rows)
    if len(changes) > _ROWS_MAX:
        made.append(Line(f"  and {len(changes) - _ROWS_MAX} smaller changes", "dim"))
    return made


def _signed(ratio: float) -> str:
    return f"{ratio * 100:+.1f} %"
