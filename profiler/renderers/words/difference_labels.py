"""What a difference says in words, the same on the terminal and on its page."""

from __future__ import annotations

from collections.abc import Iterator

from profiler.model.difference import (
    ContainerChange,
    ContainerChanges,
    Difference,
    Recorded,
)
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import clip

UNITS = "Shares are of one CPU, rates per second of each recording."
_BUILD_ID_MAX = 20  # characters, which tell builds apart


def facts(difference: Difference) -> Iterator[tuple[str, str, str]]:
    """Yield (what, before, after) of the two recordings."""
    pairs = [_facts(recorded) for recorded in (difference.before, difference.after)]
    for (name, before), (_, after) in zip(*pairs, strict=True):
        yield name, before, after
    cpu = difference.cpu
    yield "CPU", _of_one_cpu(cpu.before_ratio), _of_one_cpu(cpu.after_ratio)


def _of_one_cpu(ratio: float) -> str:
    return f"{numbers.percent(ratio)} of one CPU"


def _facts(recorded: Recorded) -> Iterator[tuple[str, str]]:
    target = recorded.target
    yield "Asterisk", clip(target.version or "unknown version", 40)
    yield "build id", clip(target.build_id or "unknown", _BUILD_ID_MAX)
    yield "process", f"{target.pid}"
    host = recorded.host
    yield "host", f"{clip(host.name, 40)}, {host.cpus} CPUs" if host else "unknown"
    yield "kernel", clip(host.kernel_release, 40) if host else "unknown"
    yield "recorded", clip(recorded.started_at.replace("T", " ").replace("Z", " UTC"), 40)
    yield "for", f"{recorded.duration_s:.1f} s, {recorded.frequency_hz:g} samples/s"
    yield "samples", f"{recorded.samples:,}"
    yield "by", f"ebpf-prof {clip(recorded.tool_version, 20)}"


def no_change(difference: Difference) -> str:
    """Return that nothing changed; "" if something did."""
    return "No change beyond the measurement error." if difference.is_empty() else ""


def within_error(difference: Difference) -> str:
    """Return how many changes are too small to be told from chance; "" if none."""
    containers = difference.containers or ContainerChanges()
    counts = (
        (difference.threads.within_error, "thread"),
        (containers.within_error, "container"),
        (difference.functions.within_error, "function"),
    )
    said = [numbers.counted(count, noun) for count, noun in counts if count]
    return f"Not shown, since they changed within the error: {', '.join(said)}." if said else ""


def signed_percent(ratio: float) -> str:
    """Return per cent with its sign and one decimal: +3.2 %."""
    return f"{ratio * 100:+.1f} %"


def container_cells(change: ContainerChange) -> tuple[str, str, str, str, str]:
    """Return time before and after, its change, lookups a second, elements."""
    loads = (change.before, change.after)
    before, after = (numbers.percent_cell(load.duration_ratio) if load else "-" for load in loads)
    rates = (numbers.short(load.lookups_hz) if load else "-" for load in loads)
    elements = (numbers.short(load.elements) if load else "-" for load in loads)
    signed = signed_percent(change.delta_ratio)
    return before, after, signed, " > ".join(rates), " > ".join(elements)
