"""Makes a profile of a recording: names, sums, ranks. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from profiler.model import profile as prof
from profiler.model.recording import Container, Distribution, LookupGroup, Recording, Stack
from profiler.report.asterisk_words import container_name, search_of
from profiler.report.distributions import Z_95, add, merge_below, quantiles, time_resolution_ns
from profiler.report.findings import find
from profiler.report.frame_names import frame_names
from profiler.report.thread_roles import thread_roles


def aggregate(recording: Recording) -> prof.Profile:
    """Return the profile of a recording."""
    names = frame_names(recording)
    window_ns = max(recording.window.end_ns - recording.window.start_ns, 1)
    profile = prof.Profile(
        schema=prof.SCHEMA,
        tool_version=recording.tool_version,
        command=recording.command,
        started_at=recording.started_at,
        target=recording.target,
        window=recording.window,
        stopped_by=recording.stopped_by,
        frequency_hz=recording.frequency_hz,
        cost=_cost(recording, window_ns),
        sample_accounting=recording.sample_accounting,
        lookup_accounting=recording.lookup_accounting,
        stack_quality=_quality(recording, [(sample.stack, 1) for sample in recording.samples]),
        lookup_stack_quality=_quality(
            recording, [(stack.stack, round(stack.lookups)) for stack in recording.lookup_stacks]
        ),
        unnamed_frames_ratio=_unnamed_ratio(recording),
        stacks=tuple(_named(stack, names) for stack in recording.stacks),
        samples=recording.samples,
        lookup_stacks=(),
        threads=_threads(recording, window_ns),
        sockets=recording.sockets,
        containers=(),
        probe_windows=recording.probe_windows,
        findings=(),
        warnings=recording.warnings,
    )
    profile = _with_containers(profile, recording, names)
    return replace(profile, findings=find(profile))


def _cost(recording: Recording, window_ns: int) -> prof.CostReport:
    cost = recording.cost
    open_ns = sum(window.end_ns - window.start_ns for window in recording.probe_windows)
    return prof.CostReport(
        budget_ratio=cost.budget_ratio,
        measured_ratio=(cost.sampling_ns + cost.lookups_ns) / window_ns,
        sampling_ratio=cost.sampling_ns / window_ns,
        lookups_ratio=cost.lookups_ns / window_ns,
        open_ratio=min(open_ns / window_ns, 1.0),
        trap_ns=cost.trap_ns,
        resolution_ns=time_resolution_ns(cost.trap_ns),
    )


def _quality(recording: Recording, weighted: Sequence[tuple[int, int]]) -> prof.StackQuality:
    causes: Counter[str] = Counter()
    total = 0
    for stack, weight in weighted:
        total += weight
        cause = recording.stacks[stack].cause
        if cause is not None:
            causes[cause] += weight
    return prof.StackQuality(total, total - causes.total(), tuple(causes.most_common()))


def _unnamed_ratio(recording: Recording) -> float | None:
    """Share of user frames in samples that nothing names."""
    total = unnamed = 0
    uses = Counter(sample.stack for sample in recording.samples)
    for stack, count in uses.items():
        frames = recording.stacks[stack].frames[recording.stacks[stack].kernel_count :]
        total += count * len(frames)
        unnamed += count * sum(recording.frames[frame].symbol is None for frame in frames)
    return unnamed / total if total else None


def _named(stack: Stack, names: Sequence[str]) -> prof.NamedStack:
    return prof.NamedStack(
        tuple(names[frame] for frame in reversed(stack.frames)), stack.kernel_count, stack.cause
    )


def _threads(recording: Recording, window_ns: int) -> tuple[prof.Thread, ...]:
    samples = Counter(sample.tid for sample in recording.samples)
    roles = thread_roles(recording)
    threads = [
        prof.Thread(
            tid=use.tid,
            name=use.name,
            role=roles.get(use.tid),
            cpu_ratio=use.cpu_ns / window_ns,
            run_delay_ratio=None if use.run_delay_ns is None else use.run_delay_ns / window_ns,
            samples=samples[use.tid],
        )
        for use in recording.threads
    ]
    return tuple(sorted(threads, key=lambda thread: (-thread.cpu_ratio, thread.tid)))


def _with_containers(
    profile: prof.Profile, recording: Recording, names: Sequence[str]
) -> prof.Profile:
    """Add containers, most expensive first, and the stacks that looked into them."""
    groups: dict[int, list[LookupGroup]] = defaultdict(list)
    for group in recording.lookups:
        groups[group.container].append(group)
    uses = {
        index: _container(recording, recording.containers[index], found, names)
        for index, found in groups.items()
    }
    order = sorted(
        uses,
        key=lambda index: (
            -uses[index].estimated_duration_ns,
            -uses[index].lookups.measured,
            index,
        ),
    )
    position = {index: place for place, index in enumerate(order)}
    return replace(
        profile,
        containers=tuple(uses[index] for index in order),
        lookup_stacks=tuple(
            prof.WeightedStack(
                stack.stack, position[stack.container], stack.lookups, stack.comparisons
            )
            for stack in recording.lookup_stacks
            if stack.container in position
        ),
    )


def _container(
    recording: Recording, container: Container, groups: Sequence[LookupGroup], names: Sequence[str]
) -> prof.ContainerUse:
    sites = sorted(
        (_call_site(recording, site, list(found)) for site, found in _by_site(groups).items()),
        key=lambda site: -(site.total_or_bound * (site.duration_ns.mean or 0)),
    )
    comparator = None if container.comparator is None else names[container.comparator]
    files = {site.file for site in sites if site.file}
    return prof.ContainerUse(
        address=container.address,
        kind=container.kind,
        name=container_name(files, comparator),
        buckets=container.buckets,
        elements_start=container.elements_start,
        elements_end=container.elements_end,
        chain=_chain(container),
        hash_function=None if container.hash_function is None else names[container.hash_function],
        sort_function=None if container.sort_function is None else names[container.sort_function],
        comparator=comparator,
        lookups=_counts(groups),
        comparisons=quantiles(add(group.comparisons for group in groups)),
        sort_calls=quantiles(add(group.sort_calls for group in groups)),
        duration_ns=_durations(recording, groups),
        estimated_comparisons=sum(_expected(group, group.comparisons) for group in groups),
        estimated_duration_ns=sum(_expected(group, group.duration_ns) for group in groups),
        call_sites=tuple(sites),
    )


def _durations(recording: Recording, groups: Sequence[LookupGroup]) -> prof.Quantiles:
    """Return the times of lookups, those below the resolution as one value."""
    resolution_ns = time_resolution_ns(recording.cost.trap_ns)
    return quantiles(merge_below(add(group.duration_ns for group in groups), resolution_ns))


def _expected(group: LookupGroup, distribution: Distribution) -> float:
    """Return mean times estimated number of lookups, or what that is at least."""
    if not distribution.count:
        return 0.0
    return group.estimated_total * distribution.total / distribution.count


def _by_site(groups: Sequence[LookupGroup]) -> dict[tuple[int, str, int], list[LookupGroup]]:
    sites: dict[tuple[int, str, int], list[LookupGroup]] = defaultdict(list)
    for group in groups:
        sites[group.call_site, group.entry, group.flags].append(group)
    return sites


def _call_site(
    recording: Recording, key: tuple[int, str, int], groups: Sequence[LookupGroup]
) -> prof.CallSiteUse:
    site = recording.call_sites[key[0]]
    counts = _counts(groups)
    return prof.CallSiteUse(
        file=site.file,
        line=site.line,
        function=site.function,
        entry=key[1],
        search=search_of(key[1], key[2]),
        measured=counts.measured,
        estimated_total=counts.estimated_total,
        estimated_low=counts.estimated_low,
        hit_ratio=counts.hit_ratio,
        comparisons=quantiles(add(group.comparisons for group in groups)),
        sort_calls=quantiles(add(group.sort_calls for group in groups)),
        duration_ns=_durations(recording, groups),
    )


def _counts(groups: Sequence[LookupGroup]) -> prof.LookupCounts:
    measured = sum(group.measured for group in groups)
    total = sum(group.estimated_total for group in groups)
    # Groups of one container share its windows and rise and fall together.
    deviation = sum(math.sqrt(group.estimated_variance or 0.0) for group in groups)
    factor = spread(deviation / total) if total > 0 else 1.0
    is_known = all(group.estimated_variance is not None for group in groups)
    hits = sum(group.hits for group in groups)
    answered = hits + sum(group.misses for group in groups)
    return prof.LookupCounts(
        measured=measured,
        verified=sum(group.verified for group in groups),
        unverifiable=sum(group.unverifiable for group in groups),
        contradicted=sum(group.contradicted for group in groups),
        truncated=sum(group.truncated for group in groups),
        estimated_total=total if is_known else None,
        estimated_low=max(total / factor, float(measured)),
        estimated_high=max(total * factor, float(measured)) if is_known else None,
        hit_ratio=hits / answered if answered else None,
        steps_agreed=sum(group.steps_agreed for group in groups),
        steps_disagreed=sum(group.steps_disagreed for group in groups),
    )


def spread(error_ratio: float) -> float:
    """Return the factor by which an estimate may be too large or too small, with 95 % confidence.

    A number that is not below zero, whose standard error is a large part of it, is taken to be
    log-normal: Burnham et al., Design and Analysis Methods for Fish Survival Experiments, 1987.
    """
    return math.exp(Z_95 * math.sqrt(math.log1p(error_ratio**2)))


def _chain(container: Container) -> prof.Chain:
    lengths = container.chain_lengths
    buckets = sum(number for _, number in lengths)
    if buckets:
        seen, p99 = 0, 0
        for length, number in lengths:
            seen += number
            if seen >= 0.99 * buckets:
                p99 = length
                break
        mean = sum(length * number for length, number in lengths) / buckets
        return prof.Chain(mean, p99, max(length for length, _ in lengths))
    if container.buckets and container.elements_end is not None:
        return prof.Chain(container.elements_end / container.buckets, None, None)
    return prof.Chain(None, None, None)
