"""The part of the terminal report on containers: operations, lookups by container and call site."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from profiler.model.profile import Profile, Quantiles
from profiler.renderers.words import numbers
from profiler.renderers.words.histogram import draw
from profiler.renderers.words.lines import Line, heading, table, table_rows, wrapped
from profiler.renderers.words.nothing import without_lookups
from profiler.renderers.words.operations import (
    containers_label,
    cpu_label,
    interval,
    operation_label,
)
from profiler.renderers.words.uses import LookupUse, call_site_uses, container_uses

_RANKED_MAX = 10
_OPERATIONS_MAX = 5
# An operation with fewer samples, or less than this part of all, is left to report.html.
_LEAST_SAMPLES = 3
_LEAST_PART = 0.01
_DETAILED_MAX = 3
_HISTOGRAMS_MAX = 2
_EXPLANATION = "estimated for the whole window; share of its time"


def lines(profile: Profile, width: int) -> list[Line]:
    """Return the sections on operations, containers, call sites and histograms."""
    containers = container_uses(profile)
    operations = _operations(profile, width)
    if nothing := without_lookups(profile):
        return [*operations, *heading("LOOKUPS"), *wrapped("  ", nothing, "dim", width)]
    return [
        *operations,
        *_ranking(profile, "CONTAINERS", containers, width),
        *_ranking(profile, "CALL SITES", call_site_uses(profile), width),
        *_histograms(containers[:_HISTOGRAMS_MAX], width),
    ]


def _operations(profile: Profile, width: int) -> list[Line]:
    """Return the operations that take most CPU time, each with its containers below."""
    found = profile.operations or ()
    least = max(_LEAST_SAMPLES, _LEAST_PART * len(profile.samples))
    shown = [use for use in found[:_OPERATIONS_MAX] if use.cpu.samples >= least]
    if not shown:
        return []
    made = heading("CPU IN CONTAINER OPERATIONS", "by samples; of one CPU, 95 % interval", width)
    rows = [
        (
            operation_label(use),
            numbers.percent_cell(use.cpu.ratio),
            interval(use.cpu),
            numbers.column(use.cpu.samples),
        )
        for use in shown
    ]
    titles, *cells = table_rows(("", "CPU", "interval", "samples"), rows, width)
    made += titles
    for use, row in zip(shown, cells, strict=True):
        made += [*row, *wrapped("    ", containers_label(use), "dim", width)]
    if len(found) > len(shown):
        made += wrapped("  ", f"and {len(found) - len(shown)} more in report.html", "dim", width)
    return made


def _ranking(profile: Profile, title: str, uses: tuple[LookupUse, ...], width: int) -> list[Line]:
    """Return the uses by time, by comparisons if that is another order, and the worst in detail."""
    if not uses:
        return []
    made = heading(f"TOP {title} BY TIME", _EXPLANATION, width)
    made += _ranks(profile, uses[:_RANKED_MAX], width)
    if any(use.estimate.is_bound for use in uses):
        words = '"at least": comparisons are a lower bound, too; time and share are rough'
        made += wrapped("  ", words, "dim", width)
    left_out = len(uses) - _RANKED_MAX
    if left_out > 0:
        made += wrapped("  ", f"and {left_out} more in report.html", "dim", width)
    by_comparisons = sorted(uses, key=lambda use: -(use.estimated_comparisons or 0.0))
    detailed, reordered = uses[:_DETAILED_MAX], tuple(by_comparisons[:_DETAILED_MAX])
    if reordered != detailed:
        made += heading(f"TOP {title} BY COMPARISONS", _EXPLANATION, width)
        made += _ranks(profile, reordered, width)
    for use in (*detailed, *(use for use in reordered if use not in detailed)):
        made += [Line(""), *_details(profile, use, width)]
    return made


def _ranks(profile: Profile, uses: Sequence[LookupUse], width: int) -> list[Line]:
    window = profile.window
    has_cpu = profile.operations is not None
    rows = [
        (
            use.label,
            *((numbers.percent_cell(use.cpu.ratio if use.cpu else None),) if has_cpu else ()),
            use.estimate.rate(window.duration_s),
            numbers.duration(use.estimated_duration_ns),
            numbers.percent_cell(use.estimated_duration_ns / window.duration_ns),
            numbers.short(use.estimated_comparisons),
        )
        for use in uses
    ]
    cpu = ("CPU",) if has_cpu else ()
    return table(("", *cpu, "lookups/s", "time", "share", "compared"), rows, width)


def _details(profile: Profile, use: LookupUse, width: int) -> list[Line]:
    seconds = profile.window.duration_s
    rate = f"{use.estimate.rate(seconds)}/s {use.estimate.error(seconds)}".rstrip()
    count = f"{rate}, {use.seen()}"
    if use.hit_ratio is not None:
        count += f", {numbers.percent(use.hit_ratio)} of them hits"
    resolution_ns = profile.cost.resolution_ns
    times = _quantiles(use.duration_ns, lambda ns: numbers.measured_duration(ns, resolution_ns))
    facts = (
        ("CPU", "" if use.cpu is None else cpu_label(use.cpu)),
        ("lookups", count),
        ("comparisons", _quantiles(use.comparisons, numbers.count)),
        ("sort calls", _quantiles(use.sort_calls, numbers.count) if use.sort_calls.max else ""),
        ("time", times),
        ("shape", use.shape),
    )
    made = wrapped("  ", use.label, "heading", width)
    made += wrapped("    ", use.place, "dim", width)
    for name, text in facts:
        made += wrapped(f"    {name:<13}", text, "", width) if text else []
    return made


def _quantiles(quantiles: Quantiles, shown: Callable[[float | None], str]) -> str:
    if quantiles.max is None:
        return "not measured"
    values = ((name, getattr(quantiles, name)) for name in ("p50", "p90", "p99", "max"))
    return "  ".join(f"{name} {shown(value):<9}" for name, value in values).rstrip()


def _histograms(uses: Sequence[LookupUse], width: int) -> list[Line]:
    made: list[Line] = []
    for use in uses:
        for title, rows in use.histograms():
            made += heading(title.upper(), use.label, width)
            made += draw(rows, width)
    return made
