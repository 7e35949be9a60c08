"""The part of report.html on containers: operations, lookups by container and call site, growth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from profiler.model.profile import ContainerUse, Profile, Quantiles
from profiler.renderers.page.anchors import call_site_anchor, container_anchor, operation_anchor
from profiler.renderers.page.links import (
    call_site_links,
    container_links,
    function_graph,
    operation_findings,
)
from profiler.renderers.page.markup import chart, element
from profiler.renderers.page.sections import Section, section
from profiler.renderers.page.tables import Cell, Column, Link, Row, lines, share, table
from profiler.renderers.words import numbers, uses
from profiler.renderers.words.histogram import spark
from profiler.renderers.words.labels import LABEL_MAX, clip, container_label
from profiler.renderers.words.nothing import without_lookups
from profiler.renderers.words.operations import containers_label, interval, operation_label
from profiler.renderers.words.uses import LookupUse

_CHARTED_MAX = 3
_ESTIMATED = (
    "Estimated for the whole window from the lookups that were measured; most time first. "
    'Where lookups are "at least" so many, comparisons are, too, and time is rough. '
    "Spread: how many lookups made few comparisons (left) and many (right)."
)
_SAMPLED = (
    "CPU time by samples, of one CPU, also outside of windows. Each sample counts for the "
    "innermost operation that container code did not call itself."
)
_OPERATIONS = (
    Column("Operation"),
    Column("CPU", "bar"),
    Column("95 % interval"),
    Column("Samples"),
)
_CPU = Column("CPU, by samples")
_LOOKUPS = (
    Column("Lookups/s"),
    Column("Hits"),
    Column("Comparisons"),
    Column("Time each"),
    Column("Spread", "spark"),
)
_GROWTH = (
    Column("Container"),
    Column("Elements at start"),
    Column("At end"),
    Column("Change"),
    Column("Per minute"),
)


def operations(profile: Profile) -> Section | None:
    """Return the table of container operations by CPU time."""
    rows = [
        Row(
            operation_anchor(use),
            (
                lines(operation_label(use), containers_label(use)),
                share(use.cpu.ratio),
                lines(interval(use.cpu)),
                lines(f"{use.cpu.samples:,.0f}"),
            ),
            (*operation_findings(profile, use), *function_graph(profile, use.function)),
        )
        for use in profile.operations or ()
    ]
    if not rows:
        return None
    explanation = element("p", _SAMPLED, kind="faint")
    return section("CPU in container operations", explanation, table(_OPERATIONS, rows))


def containers(profile: Profile) -> Section:
    """Return the table of containers, each with its histogram of comparisons in small."""
    rows = [
        _lookup_row(
            profile,
            use,
            container,
            container_anchor(container),
            (use.place, use.shape, _functions(container)),
            container_links(profile, container),
        )
        for use, container in zip(uses.container_uses(profile), profile.containers, strict=True)
    ]
    if not rows:
        nothing = element("p", without_lookups(profile), kind="faint")
        return section("Containers", nothing, is_open=True)
    return _lookups(profile, "Container", rows, is_open=True)


def call_sites(profile: Profile) -> Section | None:
    """Return the table of the source places that look things up."""
    found = [
        (uses.call_site_use(site, container), number, site, container)
        for container in profile.containers
        for number, site in enumerate(container.call_sites)
    ]
    found.sort(key=lambda one: -one[0].estimated_duration_ns)
    rows = [
        _lookup_row(
            profile,
            use,
            container,
            call_site_anchor(container, number),
            (use.place,),
            call_site_links(profile, container, site),
        )
        for use, number, site, container in found
    ]
    return _lookups(profile, "Call site", rows) if rows else None


def histograms(profile: Profile) -> Section | None:
    """Return comparisons and time per lookup of the worst containers."""
    parts = []
    for use in uses.container_uses(profile)[:_CHARTED_MAX]:
        charts = [
            element("div", element("p", f"{title}; lookups", kind="faint"), chart(rows))
            for title, rows in use.histograms()
        ]
        parts += [element("h3", use.label), element("div", *charts, kind="charts")]
    return section("Spread of lookups in the worst containers", *parts) if parts else None


def growth(profile: Profile) -> Section | None:
    """Return the table of containers that grew or shrank, the fastest first."""
    known = uses.growth(profile)
    rows = [
        Row(
            f"growth-{container.address:x}",
            (
                lines(container_label(container), f"{container.kind} at {container.address:#x}"),
                lines(f"{container.elements_start:,}"),
                lines(f"{container.elements_end:,}"),
                lines(numbers.change(change)),
                lines(numbers.change(change * 60 / profile.window.duration_s)),
            ),
            (Link("container", container_anchor(container)),),
            f"{container.address:x}",
        )
        for container, change in known
        if change
    ]
    if not known:
        return None
    if not rows:
        return section("Growth", element("p", "No container grew or shrank.", kind="good"))
    return section("Growth", table(_GROWTH, rows))


def _functions(container: ContainerUse) -> str:
    functions = (container.hash_function, container.sort_function, container.comparator)
    if not any(functions):
        return ""
    return "hash, sort, compare: " + ", ".join(
        clip(function or "-", LABEL_MAX) for function in functions
    )


def _lookups(profile: Profile, what: str, rows: Sequence[Row], *, is_open: bool = False) -> Section:
    """Return the table of what is looked up, by name and share of time first."""
    cpu = () if profile.operations is None else (_CPU,)
    columns = (Column(what), Column("Time, of window", "bar"), *cpu, *_LOOKUPS)
    explanation = element("p", _ESTIMATED, kind="faint")
    return section(f"{what}s", explanation, table(columns, rows), is_open=is_open)


def _lookup_row(
    profile: Profile,
    use: LookupUse,
    container: ContainerUse,
    anchor: str,
    explanations: Sequence[str],
    links: tuple[Link, ...],
) -> Row:
    time_ratio = use.estimated_duration_ns / profile.window.duration_ns
    cells = (
        lines(use.label, *explanations),
        share(time_ratio, numbers.duration(use.estimated_duration_ns)),
        *_cpu(profile, use),
        *_cells(profile, use),
    )
    return Row(anchor, cells, links, f"{container.address:x}")


def _cpu(profile: Profile, use: LookupUse) -> Iterator[Cell]:
    """Yield the cell for CPU time; none where nobody looked for operations."""
    if profile.operations is None:
        return
    if use.cpu is None:
        yield lines(numbers.UNKNOWN)
    else:
        shared = "shared" if use.cpu.is_divided else ""
        yield lines(numbers.percent_cell(use.cpu.ratio), interval(use.cpu), shared)


def _cells(profile: Profile, use: LookupUse) -> Iterator[Cell]:
    """Yield rate, hits, comparisons, time and spread."""
    seconds = profile.window.duration_s
    counted = use.comparisons if use.comparisons.histogram else use.sort_calls

    def shown(time_ns: float | None) -> str:
        return numbers.measured_duration(time_ns, profile.cost.resolution_ns)

    yield lines(use.estimate.rate(seconds), use.estimate.error(seconds), *use.seen().split(", "))
    yield lines(numbers.percent(use.hit_ratio))
    yield _spread(numbers.short(use.estimated_comparisons), counted, numbers.count)
    yield _spread(shown(use.duration_ns.mean), use.duration_ns, shown)
    yield lines(*spark(counted.histogram))


def _spread(first: str, quantiles: Quantiles, shown: Callable[[float | None], str]) -> Cell:
    if quantiles.max is None:
        return lines(first, "not measured")
    p50, p99, most = map(shown, (quantiles.p50, quantiles.p99, quantiles.max))
    return lines(first, f"p50 {p50}", f"p99 {p99}", f"max {most}")
