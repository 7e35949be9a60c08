"""The part of report.html on containers: operations, lookups by container and call site, growth."""

from __future__ import annotations

from collections.abc import Callable

from profiler.model.profile import ContainerUse, Profile, Quantiles
from profiler.renderers import numbers, uses
from profiler.renderers.histogram import bars
from profiler.renderers.labels import container_label
from profiler.renderers.markup import (
    Markup,
    chart,
    element,
    section,
    share_bar,
    sparkline,
    table,
    two_lines,
)
from profiler.renderers.nothing import without_lookups
from profiler.renderers.operations import containers_label, interval, operation_label
from profiler.renderers.uses import LookupUse

_ROWS_MAX = 100
_CHARTED_MAX = 3
_ESTIMATED = (
    "Estimated for the whole window from the lookups that were measured; most time first. "
    'Where lookups are "at least" so many, comparisons are, too, and time is rough.'
)
_SAMPLED = (
    "CPU time by samples, of one CPU, also outside of windows. Each sample counts for the "
    "innermost operation that container code did not call itself."
)
_OPERATION_TITLES = ("Operation", "CPU", "95 % interval", "Samples")
_CPU_TITLE = "CPU, by samples"
_TITLES = (
    "Lookups/s",
    "Time, of window",
    "Hits",
    "Comparisons, in all",
    "Time each, mean",
    "Spread",
)


def operations(profile: Profile) -> Markup:
    """Return the table of container operations by CPU time."""
    found = profile.operations or ()
    if not found:
        return Markup("")
    rows = [
        (
            two_lines(operation_label(use), containers_label(use)),
            share_bar(use.cpu.ratio),
            interval(use.cpu),
            f"{use.cpu.samples:,.0f}",
        )
        for use in found[:_ROWS_MAX]
    ]
    parts = [element("p", _SAMPLED, kind="faint"), table(_OPERATION_TITLES, rows)]
    if len(found) > _ROWS_MAX:
        left_out = f"{len(found) - _ROWS_MAX} more are in profile.json."
        parts.append(element("p", left_out, kind="faint"))
    return section("CPU in container operations", *parts)


def containers(profile: Profile) -> Markup:
    """Return the table of containers, each with its histogram of comparisons in small."""
    found = uses.container_uses(profile)
    if not found:
        return section("Containers", element("p", without_lookups(profile), kind="faint"))
    explained = [
        "; ".join(fact for fact in (use.place, use.shape, _functions(container)) if fact)
        for use, container in zip(found, profile.containers, strict=True)
    ]
    return _ranking(profile, "Container", found, explained)


def call_sites(profile: Profile) -> Markup:
    """Return the table of the source places that look things up."""
    found = uses.call_site_uses(profile)
    return (
        _ranking(profile, "Call site", found, [use.place for use in found]) if found else Markup("")
    )


def histograms(profile: Profile) -> Markup:
    """Return comparisons and time per lookup of the worst containers."""
    parts = []
    for use in uses.container_uses(profile)[:_CHARTED_MAX]:
        charts = [
            element("div", element("p", title, kind="faint"), chart(rows))
            for title, rows in use.histograms()
        ]
        parts += [element("h3", use.label), element("div", *charts, kind="charts")]
    return section("Spread of lookups in the worst containers", *parts) if parts else Markup("")


def growth(profile: Profile) -> Markup:
    """Return the table of containers that grew or shrank, the fastest first."""
    known = uses.growth(profile)
    rows = [
        (
            two_lines(container_label(container), f"{container.kind} at {container.address:#x}"),
            f"{container.elements_start:,}",
            f"{container.elements_end:,}",
            numbers.change(change),
            numbers.change(change * 60 / profile.window.duration_s),
        )
        for container, change in known[:_ROWS_MAX]
        if change
    ]
    if not known:
        return Markup("")
    if not rows:
        return section("Growth", element("p", "No container grew or shrank.", kind="good"))
    titles = ("Container", "Elements at start", "At end", "Change", "Per minute")
    return section("Growth", table(titles, rows))


def _functions(container: ContainerUse) -> str:
    functions = (container.hash_function, container.sort_function, container.comparator)
    if not any(functions):
        return ""
    return "hash, sort, compare: " + ", ".join(function or "-" for function in functions)


def _ranking(
    profile: Profile, what: str, found: tuple[LookupUse, ...], explained: list[str]
) -> Markup:
    rows = [
        (two_lines(use.label, explanation), *_cpu(profile, use), *_cells(profile, use))
        for use, explanation in zip(found[:_ROWS_MAX], explained, strict=False)
    ]
    cpu = () if profile.operations is None else (_CPU_TITLE,)
    parts = [element("p", _ESTIMATED, kind="faint"), table((what, *cpu, *_TITLES), rows)]
    if len(found) > _ROWS_MAX:
        left_out = f"{len(found) - _ROWS_MAX} more are in profile.json."
        parts.append(element("p", left_out, kind="faint"))
    return section(f"{what}s", *parts)


def _cells(profile: Profile, use: LookupUse) -> tuple[str, ...]:
    seconds = profile.window.duration_s
    rate, off = use.estimate.rate(seconds), use.estimate.error(seconds)
    measured = use.seen()
    share = use.estimated_duration_ns / profile.window.duration_ns
    spent = numbers.duration(use.estimated_duration_ns)
    counted = use.comparisons if use.comparisons.histogram else use.sort_calls

    def shown(time_ns: float | None) -> str:
        return numbers.measured_duration(time_ns, profile.cost.resolution_ns)

    return (
        two_lines(rate, f"{off}, {measured}" if off else measured),
        Markup(share_bar(share) + element("small", spent)),
        numbers.percent(use.hit_ratio),
        _spread(numbers.short(use.estimated_comparisons), counted, numbers.count),
        _spread(shown(use.duration_ns.mean), use.duration_ns, shown),
        sparkline(bars(counted.histogram)),
    )


def _cpu(profile: Profile, use: LookupUse) -> tuple[Markup, ...]:
    """Return the cell for CPU time; none where nobody looked for operations."""
    if profile.operations is None:
        return ()
    if use.cpu is None:
        return (two_lines(numbers.UNKNOWN, ""),)
    shared = ", shared" if use.cpu.is_divided else ""
    return (two_lines(numbers.percent_cell(use.cpu.ratio), f"{interval(use.cpu)}{shared}"),)


def _spread(first: str, quantiles: Quantiles, shown: Callable[[float | None], str]) -> Markup:
    if quantiles.max is None:
        return two_lines(first, "not measured")
    p50, p99, most = map(shown, (quantiles.p50, quantiles.p99, quantiles.max))
    return two_lines(first, f"p50 {p50}, p99 {p99}, max {most}")
