"""The part of report.html on lookups: containers, call sites, histograms, growth."""

from __future__ import annotations

from collections.abc import Callable

from profiler.model.profile import Profile, Quantiles
from profiler.renderers import numbers
from profiler.renderers.histogram import bars, name
from profiler.renderers.labels import container_label
from profiler.renderers.markup import (
    Markup,
    chart,
    element,
    share_bar,
    sparkline,
    table,
    two_lines,
)
from profiler.renderers.uses import LookupUse, call_site_uses, container_uses, shape

_ROWS_MAX = 100
_CHARTED_MAX = 3
_ESTIMATED = (
    "Estimated for the whole window from the lookups that were measured; most time first. "
    'Where lookups are "at least" so many, comparisons are, too, and time is rough.'
)
_TITLES = ("Lookups/s", "Time, of window", "Hits", "Comparisons, in all", "Time each, mean")


def containers(profile: Profile) -> Markup:
    """Return the table of containers, each with its histogram of comparisons in small."""
    uses = container_uses(profile)
    if not uses:
        nothing = element("p", "No container lookup was measured.", kind="faint")
        return element("section", element("h2", "Containers"), nothing)
    rows = []
    for use in uses[:_ROWS_MAX]:
        container = profile.containers[use.container]
        facts = [use.place, shape(container)]
        functions = (container.hash_function, container.sort_function, container.comparator)
        if any(functions):
            shown = (function or "-" for function in functions)
            facts.append("hash, sort, compare: " + ", ".join(shown))
        first = two_lines(use.label, "; ".join(fact for fact in facts if fact))
        counted = use.comparisons if use.comparisons.histogram else use.sort_calls
        rows.append((first, *_cells(profile, use), sparkline(bars(counted.histogram))))
    return _section("Containers", ("Container", *_TITLES, "Spread"), rows, len(uses))


def call_sites(profile: Profile) -> Markup:
    """Return the table of the source places that look things up."""
    uses = call_site_uses(profile)
    if not uses:
        return Markup("")
    rows = [
        (
            two_lines(use.label, use.place),
            *_cells(profile, use),
            sparkline(bars(use.comparisons.histogram)),
        )
        for use in uses[:_ROWS_MAX]
    ]
    return _section("Call sites", ("Call site", *_TITLES, "Spread"), rows, len(uses))


def histograms(profile: Profile) -> Markup:
    """Return comparisons and time per lookup of the worst containers."""
    parts = []
    for use in container_uses(profile)[:_CHARTED_MAX]:
        charts = [
            _chart("Comparisons per lookup", use.comparisons, numbers.exact, True),
            _chart("Sort calls per lookup", use.sort_calls, numbers.exact, True),
            _chart("Time per lookup", use.duration_ns, numbers.duration, False),
        ]
        parts += [element("h3", use.label), element("div", *charts, kind="charts")]
    if not parts:
        return Markup("")
    return element("section", element("h2", "Spread of lookups in the worst containers"), *parts)


def growth(profile: Profile) -> Markup:
    """Return the table of containers that grew or shrank, the fastest first."""
    minutes = profile.window.duration_s / 60
    changes = [
        (container, container.elements_end - container.elements_start)
        for container in profile.containers
        if container.elements_start is not None and container.elements_end is not None
    ]
    if not changes or minutes <= 0:
        return Markup("")
    rows = [
        (
            two_lines(container_label(container), f"{container.kind} at {container.address:#x}"),
            numbers.exact(container.elements_start),
            numbers.exact(container.elements_end),
            numbers.change(delta),
            numbers.change(delta / minutes),
        )
        for container, delta in sorted(changes, key=lambda item: -abs(item[1]))[:_ROWS_MAX]
        if delta
    ]
    if not rows:
        nothing = element("p", "No container grew or shrank.", kind="good")
        return element("section", element("h2", "Growth"), nothing)
    titles = ("Container", "Elements at start", "At end", "Change", "Per minute")
    return element("section", element("h2", "Growth"), table(titles, rows))


def _section(
    title: str, titles: tuple[str, ...], rows: list[tuple[str, ...]], count: int
) -> Markup:
    parts = [element("h2", title), element("p", _ESTIMATED, kind="faint"), table(titles, rows)]
    if count > len(rows):
        parts.append(element("p", f"{count - len(rows)} more are in profile.json.", kind="faint"))
    return element("section", *parts)


def _cells(profile: Profile, use: LookupUse) -> tuple[str, ...]:
    seconds = profile.window.duration_s
    rate, off = use.estimate.rate(seconds), use.estimate.error(seconds)
    measured = f"{numbers.exact(use.measured)} measured"
    share = use.estimated_duration_ns / (seconds * 1e9) if seconds > 0 else None
    spent = numbers.duration(use.estimated_duration_ns)
    counted = use.comparisons if use.comparisons.histogram else use.sort_calls

    def shown(time_ns: float | None) -> str:
        return numbers.measured_duration(time_ns, profile.cost.resolution_ns)

    return (
        two_lines(rate, f"{off}, {measured}" if off else measured),
        Markup(share_bar(share, numbers.percent_cell(share)) + element("small", spent)),
        numbers.percent(use.hit_ratio),
        _spread(numbers.short(use.estimated_comparisons), counted, numbers.count),
        _spread(shown(use.duration_ns.mean), use.duration_ns, shown),
    )


def _spread(first: str, quantiles: Quantiles, shown: Callable[[float | None], str]) -> Markup:
    if quantiles.max is None:
        return two_lines(first, "not measured")
    p50, p99, most = map(shown, (quantiles.p50, quantiles.p99, quantiles.max))
    return two_lines(first, f"p50 {p50}, p99 {p99}, max {most}")


def _chart(title: str, quantiles: Quantiles, shown: Callable[[int], str], is_exact: bool) -> Markup:
    if not quantiles.max:
        return Markup("")
    rows = bars(quantiles.histogram, single_values=is_exact)
    names = [name(bar, shown, is_exact) for bar in rows]
    counts = [numbers.exact(bar.count) for bar in rows]
    return element("div", element("p", title, kind="faint"), chart(rows, names, counts))
