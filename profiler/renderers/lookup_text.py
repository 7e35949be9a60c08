"""The part of the terminal report on lookups: by container, by call site, and as histograms."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from profiler.model.profile import ContainerUse, Profile, Quantiles
from profiler.renderers import numbers
from profiler.renderers.histogram import bars, draw
from profiler.renderers.labels import clip, container_label
from profiler.renderers.lines import WIDTH, Line, heading, wrapped
from profiler.renderers.tables import table
from profiler.renderers.uses import (
    LookupUse,
    by_comparisons,
    call_site_uses,
    container_uses,
    shape,
)

_RANKED_MAX = 10
_DETAILED_MAX = 3
_HISTOGRAMS_MAX = 2
_EXPLANATION = "estimated for the whole window; share of its time"


def lines(profile: Profile) -> list[Line]:
    """Return the sections on containers, call sites and histograms."""
    containers = container_uses(profile)
    if not containers:
        return [*heading("LOOKUPS"), Line("  No container lookup was measured.", "dim")]
    return [
        *_ranking(profile, "CONTAINERS", containers),
        *_ranking(profile, "CALL SITES", call_site_uses(profile)),
        *_histograms(profile, containers[:_HISTOGRAMS_MAX]),
    ]


def container_name(container: ContainerUse) -> str:
    """Return the container's label, cut to a line."""
    return clip(container_label(container), WIDTH)


def _ranking(profile: Profile, title: str, uses: tuple[LookupUse, ...]) -> list[Line]:
    """Return the uses by time, by comparisons if that is another order, and the worst in detail."""
    if not uses:
        return []
    made = heading(f"TOP {title} BY TIME", _EXPLANATION)
    made += _ranks(profile, uses[:_RANKED_MAX])
    if any(use.estimate.is_bound for use in uses):
        made.append(
            Line(
                '  "at least": comparisons are a lower bound, too; time and share are rough', "dim"
            )
        )
    left_out = len(uses) - _RANKED_MAX
    if left_out > 0:
        made.append(Line(f"  and {left_out} more in report.html", "dim"))
    reordered = by_comparisons(uses)[:_DETAILED_MAX]
    if reordered != uses[:_DETAILED_MAX]:
        made += heading(f"TOP {title} BY COMPARISONS", _EXPLANATION)
        made += _ranks(profile, reordered)
    detailed = uses[:_DETAILED_MAX]
    for use in (*detailed, *(use for use in reordered if use not in detailed)):
        made += [Line(""), *_details(profile, use, title == "CONTAINERS")]
    return made


def _ranks(profile: Profile, uses: Sequence[LookupUse]) -> list[Line]:
    window_ns = profile.window.end_ns - profile.window.start_ns
    rows = [
        (
            use.label,
            use.estimate.rate(profile.window.duration_s),
            numbers.duration(use.estimated_duration_ns),
            numbers.percent_cell(use.estimated_duration_ns / window_ns if window_ns else None),
            numbers.short(use.estimated_comparisons),
        )
        for use in uses
    ]
    titles = ("", "lookups/s", "time", "share", "compared")
    return [Line(text) for text in table(titles, rows, WIDTH)]


def _details(profile: Profile, use: LookupUse, is_container: bool) -> list[Line]:
    seconds = profile.window.duration_s
    rate = f"{use.estimate.rate(seconds)}/s {use.estimate.error(seconds)}".rstrip()
    count = f"{rate}, {numbers.exact(use.measured)} measured"
    if use.hit_ratio is not None:
        count += f", {numbers.percent(use.hit_ratio)} of them hits"
    made = [Line(f"  {clip(use.label, WIDTH - 2)}", "heading")]
    made += wrapped("    ", clip(use.place, 300), "dim")
    made += wrapped("    lookups      ", count)
    made.append(Line(f"    comparisons  {_quantiles(use.comparisons, numbers.count)}"))
    if use.sort_calls.max:
        made.append(Line(f"    sort calls   {_quantiles(use.sort_calls, numbers.count)}"))
    resolution_ns = profile.cost.resolution_ns
    times = _quantiles(use.duration_ns, lambda ns: numbers.measured_duration(ns, resolution_ns))
    made.append(Line(f"    time         {times}"))
    known_shape = shape(profile.containers[use.container]) if is_container else None
    return made + (wrapped("    shape        ", known_shape) if known_shape else [])


def _quantiles(quantiles: Quantiles, shown: Callable[[float | None], str]) -> str:
    if quantiles.max is None:
        return "not measured"
    values = (
        ("p50", quantiles.p50),
        ("p90", quantiles.p90),
        ("p99", quantiles.p99),
        ("max", quantiles.max),
    )
    return "  ".join(f"{name} {shown(value):<9}" for name, value in values).rstrip()


def _histograms(profile: Profile, uses: Sequence[LookupUse]) -> list[Line]:
    made: list[Line] = []
    for use in uses:
        for title, counted in (("COMPARISONS", use.comparisons), ("SORT CALLS", use.sort_calls)):
            if counted.max:
                made += heading(f"{title} PER LOOKUP", clip(use.label, WIDTH - 26))
                rows = bars(counted.histogram)
                made += [Line(text) for text in draw(rows, WIDTH, numbers.exact, True)]
        if use.duration_ns.histogram:
            made += heading("TIME PER LOOKUP", clip(use.label, WIDTH - 19))
            rows = bars(use.duration_ns.histogram, single_values=False)
            made += [Line(text) for text in draw(rows, WIDTH, numbers.duration, False)]
    return made
