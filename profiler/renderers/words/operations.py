"""CPU time in container operations, in the same words for the terminal and the page."""

from __future__ import annotations

from profiler.model.cpu_share import CpuShare
from profiler.model.profile import OperationUse
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import LABEL_MAX, call_site_label, clip

_CONTAINERS_SHOWN = 2


def operation_label(use: OperationUse) -> str:
    """Return what is done, and where in the source: "ao2_find main.c:7 asks"."""
    return f"{clip(use.name, 40)} {call_site_label(use)}"


def interval(cpu: CpuShare) -> str:
    """Return the 95 % interval: "11.3 to 13.8 %"."""
    return f"{cpu.low * 100:.1f} to {numbers.percent_cell(cpu.high)}"


def cpu_label(cpu: CpuShare) -> str:
    """Return a share with its interval and samples: "21.4 % (20.3 to 22.5 %), 310 samples"."""
    shared = ", shared with other containers" if cpu.is_divided else ""
    share = numbers.percent_cell(cpu.ratio)
    return f"{share} ({interval(cpu)}), {cpu.samples:,.0f} samples{shared}"


def containers_label(use: OperationUse) -> str:
    """Return in which containers it was, with their parts if there are several."""
    if not use.containers:
        why = "none of its lookups was met" if use.is_lookup else "windows measure lookups only"
        return f"container not known: {why}"
    first, *others = use.containers
    if not others:
        return f"in {clip(first.label, LABEL_MAX)}"
    shown = (first, *others)[:_CONTAINERS_SHOWN]
    listed = ", ".join(
        f"{clip(part.label, LABEL_MAX)} {numbers.percent(part.ratio)}" for part in shown
    )
    more = len(use.containers) - len(shown)
    rest = f" and {more} more" if more else ""
    return f"in {listed}{rest}, shared by the time of lookups"
