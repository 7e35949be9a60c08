"""The time line of report.html: how CPU, lookups, queues, containers and our cost went.

A range that is chosen on it, by timeline.js, narrows the CPU flame graph to its samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

from profiler.model.profile import Profile
from profiler.model.time_line import ContainerSizes, TimeLine
from profiler.renderers.graphs.sample_times import sample_times
from profiler.renderers.graphs.tree import Tree
from profiler.renderers.page.markup import Markup, element
from profiler.renderers.page.sections import Section, section
from profiler.renderers.page.strip import Axis, Series, level, path, scale_of, strip
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import clip, container_label
from profiler.renderers.words.thread_groups import lane_namer

_NAME_MAX = 60
_OPEN_MAX = 5  # containers that are shown at once
_CPU_NOTE = "CPU time is told by samples."
_LOOKUP_NOTE = (
    "Lookups are counted only while probes are in place, their comparisons only in windows; lines "
    "join what is known."
)
_HINT = "Drag over a time to see only its samples in the CPU flame graph below."


def time_line(profile: Profile, tree: Tree) -> Section | None:
    """Return the part of the page, None where nothing is known over time.

    `tree`: of the CPU flame graph, as the page draws it.
    """
    axis, line = Axis(profile.window), profile.time_line
    strips = [*_cpu(profile, axis), *_lookups(axis, line), *_sockets(axis, line)]
    strips += _cost(profile, axis)
    strips += _containers(profile, axis)
    if not strips:
        return None
    notes = [_CPU_NOTE] if profile.sample_bins.groups else []
    if any(rate is not None for rate in line.lookups_hz) or any(line.verified):
        notes.append(_LOOKUP_NOTE)
    drawn = element("div", *strips, scale_of(axis), kind="strips")
    samples = _samples(profile, tree)
    box = Markup(f'<div class="time-line"{samples}>{drawn}{_chooser(profile)}</div>')
    return section("Over time", element("p", " ".join(notes), kind="faint"), box, is_open=True)


def _samples(profile: Profile, tree: Tree) -> Markup:
    """Return the attributes that the script needs."""
    if not profile.sample_bins.groups:
        return Markup("")
    times = sample_times(profile, tree)
    return Markup(
        f' data-bins="{times.bin_count}" data-bin-ns="{times.bin_ns}" '
        f'data-duration-ns="{profile.window.duration_ns}" data-hz="{profile.frequency_hz:g}" '
        f'data-samples="{times.text}"'
    )


def _chooser(profile: Profile) -> Markup:
    """Return the controls of a range; the script shows them."""
    if not profile.sample_bins.groups:
        return Markup("")
    return Markup(
        '<div class="chooser" hidden><label>From <input type="range" class="from"></label>'
        '<label>to <input type="range" class="to"></label>'
        '<button type="button">Whole window</button>'
        f'<span role="status">{_HINT}</span></div>'
    )


def _cpu(profile: Profile, axis: Axis) -> Iterator[Markup]:
    """Yield the CPU time of thread groups, one upon the other."""
    bins = profile.sample_bins
    if not bins.groups:
        return
    start_ns, end_ns = axis.window.start_ns, axis.window.end_ns
    count = len(bins.groups[0].samples)
    ends_ns = [*(start_ns + at * bins.bin_ns for at in range(1, count)), end_ns]
    lengths_ns = [end - begin for begin, end in zip((start_ns, *ends_ns), ends_ns, strict=False)]
    one_ns = profile.cpu_ratio * axis.window.duration_ns / max(len(profile.samples), 1)
    layers = [
        [samples * one_ns / length for samples, length in zip(one.samples, lengths_ns, strict=True)]
        for one in bins.groups
    ]
    stacked = list(accumulate(layers, _upon))
    high = max(stacked[-1])
    drawn = [
        path(Series(axis, ends_ns, sums).steps(high), f"group{index}")
        for index, sums in reversed(list(enumerate(stacked)))
    ]
    labels = [_group(profile, one.group) for one in bins.groups]
    summary = "; ".join(
        f"{label} {_spread(Series(axis, ends_ns, layer), numbers.percent)}"
        for label, layer in zip(labels, layers, strict=True)
    )
    legend = [
        Markup(f'<span><i class="group{index}"></i>{element("span", label)}</span>')
        for index, label in enumerate(labels)
    ]
    scale = f"0 to {numbers.percent(high)} of a CPU"
    names = element("span", *legend, kind="legend")
    yield strip(axis, "CPU by thread", scale, summary, *drawn, legend=names)


def _upon(below: list[float], own: list[float]) -> list[float]:
    return [one + other for one, other in zip(below, own, strict=True)]


def _group(profile: Profile, index: int | None) -> str:
    if index is None:
        return "all other threads"
    return clip(lane_namer(profile)(profile.thread_groups[index].tids[0]), _NAME_MAX)


def _lookups(axis: Axis, line: TimeLine) -> Iterator[Markup]:
    rates = Series(axis, line.ends_ns, line.lookups_hz)
    yield from _joined("Lookups a second", rates, numbers.count)
    each = [
        compared / verified if verified and compared is not None else None
        for compared, verified in zip(line.comparisons, line.verified, strict=True)
    ]
    yield from _joined("Comparisons per lookup", Series(axis, line.ends_ns, each), numbers.count)


def _sockets(axis: Axis, line: TimeLine) -> Iterator[Markup]:
    queue = Series(axis, line.ends_ns, line.queue_bytes)
    if any(queue.known):
        yield from _filled("Longest UDP receive queue", queue, numbers.size)
    drops = Series(axis, line.ends_ns, line.drops)
    if any(drops.known):
        yield from _filled("Datagrams dropped", drops, numbers.count, kind="bad")


def _cost(profile: Profile, axis: Axis) -> Iterator[Markup]:
    """Yield what we took, as a share of one CPU, with the budget."""
    line, budget = profile.time_line, profile.cost.budget_ratio
    costs = Series(axis, line.ends_ns, line.cost_ns)
    ratios = [
        None if cost is None else cost / max(end - begin, 1)
        for begin, end, cost in zip(costs.starts_ns(), line.ends_ns, line.cost_ns, strict=False)
    ]
    series = Series(axis, line.ends_ns, ratios)
    if not any(series.known):
        return
    high = max(*series.known, budget or 0.0)
    scale = f"0 to {numbers.percent(high)} of a CPU"
    drawn = [path(series.steps(high), "cost")]
    if budget:
        drawn.append(level(budget, high))
        scale += f"; dashed: the budget over time, {numbers.percent(budget)}"
    yield strip(axis, "Cost of measuring", scale, _spread(series, numbers.percent), *drawn)


def _containers(profile: Profile, axis: Axis) -> Iterator[Markup]:
    """Yield the sizes of containers that changed."""
    changed: list[Markup] = []
    for one in profile.time_line.containers:
        series = Series(axis, profile.time_line.ends_ns, one.elements)
        if series.known and min(series.known) < max(series.known):
            changed += _sized(_container(profile, one), series)
    yield from changed[:_OPEN_MAX]
    if rest := changed[_OPEN_MAX:]:
        summary = element("summary", numbers.counted(len(rest), "more container"))
        yield element("details", summary, *rest)


def _container(profile: Profile, sizes: ContainerSizes) -> str:
    return clip(container_label(profile.containers[sizes.container]), _NAME_MAX)


def _sized(label: str, series: Series) -> Iterator[Markup]:
    low, high = min(series.known), max(series.known)
    scale = f"{numbers.count(low)} to {numbers.count(high)}"
    ends = f"{numbers.count(series.known[0])} at first, {numbers.count(series.known[-1])} at last"
    summary = f"{_spread(series, numbers.count)}; {ends}"
    drawn = path(series.line(low, high), "line")
    yield strip(series.axis, f"Elements in {label}", scale, summary, drawn)


def _joined(title: str, series: Series, shown: Callable[[float], str]) -> Iterator[Markup]:
    if series.known:
        high = max(series.known)
        drawn = path(series.line(0, high), "line")
        yield strip(series.axis, title, f"0 to {shown(high)}", _spread(series, shown), drawn)


def _filled(
    title: str, series: Series, shown: Callable[[float], str], kind: str = "queue"
) -> Iterator[Markup]:
    high = max(series.known)
    drawn = path(series.steps(high), kind)
    yield strip(series.axis, title, f"0 to {shown(high)}", _spread(series, shown), drawn)


def _spread(series: Series, shown: Callable[[float], str]) -> str:
    """Return a series in words."""
    low, high = min(series.known), max(series.known)
    return f"{shown(low)} to {shown(high)}, most at {series.most_at()}"
