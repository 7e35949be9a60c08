"""The part of the terminal report on containers: operations, lookups by container and call site."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from profiler.model.profile import Profile, Quantiles
from profiler.renderers import numbers
from profiler.renderers.histogram import draw
from profiler.renderers.labels import clip
from profiler.renderers.lines import WIDTH, Line, heading, table, wrapped
from profiler.renderers.operations import containers_label, cpu_label, interval, operation_label
from profiler.renderers.uses import LookupUse, call_site_uses, container_uses

_RANKED_MAX = 10
_OPERATIONS_MAX = 5
# An operation with fewer samples, or less than this part of all, is left to report.html.
_LEAST_SAMPLES = 3
_LEAST_PART = 0.01
_DETAILED_MAX = 3
_HISTOGRAMS_MAX = 2
_EXPLANATION = "estimated for the whole window; share of its time"


def lines(profile: Profile) -> list[Line]:
    """Return the sections on operations, containers, call sites and histograms."""
    containers = container_uses(profile)
    operations = _operations(profile)
    if not containers:
        nothing = Line("  No container lookup was measured.", "dim")
        return [*operations, *heading("LOOKUPS"), nothing]
    return [
        *operations,
        *_ranking(profile, "CONTAINERS", containers),
        *_ranking(profile, "CALL SITES", call_site_uses(profile)),
        *_histograms(containers[:_HISTOGRAMS_MAX]),
    ]


def _operations(profile: Profile) -> list[Line]:
    """Return the operations that take most CPU time, each with its containers below."""
    found = profile.operations or ()
    least = max(_LEAST_SAMPLES, _LEAST_PART * len(profile.samples))
    shown = [use for use in found[:_OPERATIONS_MAX] if use.cpu.samples >= least]
    if not shown:
        return []
    made = heading("CPU IN CONTAINER OPERATIONS", "by samples; of one CPU, 95 % interval")
    rows = [
        (
            operation_label(use),
            numbers.percent_cell(use.cpu.ratio),
            interval(use.cpu),
            numbers.column(use.cpu.samples),
        )
        for use in shown
    ]
    titles, *cells = table(("", "CPU", "interval", "samples"), rows)
    made.append(titles)
    for use, row in zip(shown, cells, strict=True):
        made += [row, *wrapped("    ", clip(containers_label(use), 300), "dim")]
    if len(found) > len(shown):
        made.append(Line(f"  and {len(found) - len(shown)} more in report.html", "dim"))
    return made


def _ranking(profile: Profile, title: str, uses: tuple[LookupUse, ...]) -> list[Line]:
    """Return the uses by time, by comparisons if that is another order, and the worst in detail."""
    if not uses:
        return []
    made = heading(f"TOP {title} BY TIME", _EXPLANATION)
    made += _ranks(profile, uses[:_RANKED_MAX])
    if any(use.estimate.is_bound for use in uses):
        words = '"at least": comparisons are a lower bound, too; time and share are rough'
        made.append(Line(f"  {words}", "dim"))
    left_out = len(uses) - _RANKED_MAX
    if left_out > 0:
        made.append(Line(f"  and {left_out} more in report.html", "dim"))
    by_comparisons = sorted(uses, key=lambda use: -(use.estimated_comparisons or 0.0))
    detailed, reordered = uses[:_DETAILED_MAX], tuple(by_comparisons[:_DETAILED_MAX])
    if reordered != detailed:
        made += heading(f"TOP {title} BY COMPARISONS", _EXPLANATION)
        made += _ranks(profile, reordered)
    for use in (*detailed, *(use for use in reordered if use not in detailed)):
        made += [Line(""), *_details(profile, use)]
    return made


def _ranks(profile: Profile, uses: Sequence[LookupUse]) -> list[Line]:
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
    return table(("", *cpu, "lookups/s", "time", "share", "compared"), rows)


def _details(profile: Profile, use: LookupUse) -> list[Line]:
    seconds = profile.window.duration_s
    rate = f"{use.estimate.rate(seconds)}/s {use.estimate.error(seconds)}".rstrip()
    count = f"{rate}, {use.seen()}"
    if use.hit_ratio is not None:
        count += f", {numbers.percent(use.hit_ratio)} of them hits"
    made = [Line(f"  {clip(use.label, WIDTH - 2)}", "heading")]
    made += wrapped("    ", clip(use.place, 300), "dim")
    if use.cpu is not None:
        made += wrapped("    CPU          ", cpu_label(use.cpu))
    made += wrapped("    lookups      ", count)
    made.append(Line(f"    comparisons  {_quantiles(use.comparisons, numbers.count)}"))
    if use.sort_calls.max:
        made.append(Line(f"    sort calls   {_quantiles(use.sort_calls, numbers.count)}"))
    resolution_ns = profile.cost.resolution_ns
    times = _quantiles(use.duration_ns, lambda ns: numbers.measured_duration(ns, resolution_ns))
    made.append(Line(f"    time         {times}"))
    return made + wrapped("    shape        ", use.shape)


def _quantiles(quantiles: Quantiles, shown: Callable[[float | None], str]) -> str:
    if quantiles.max is None:
        return "not measured"
    values = ((name, getattr(quantiles, name)) for name in ("p50", "p90", "p99", "max"))
    return "  ".join(f"{name} {shown(value):<9}" for name, value in values).rstrip()


def _histograms(uses: Sequence[LookupUse]) -> list[Line]:
    made: list[Line] = []
    for use in uses:
        for title, rows in use.histograms():
            made += heading(title.upper(), clip(use.label, WIDTH - len(title) - 4))
            made += draw(rows)
    return made
