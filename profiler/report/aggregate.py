"""Makes a profile of a recording: names, sums, ranks. Pure."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter

from profiler.findings.ranking import find
from profiler.model import profile as prof
from profiler.model.cpu_share import Z_95
from profiler.model.links import LinkProfile
from profiler.model.recording import Container, Distribution, LookupGroup, Recording, Stack
from profiler.model.task_profile import TaskProfile
from profiler.report.alike_containers import join_alike
from profiler.report.basics.asterisk_words import container_name, search_of
from profiler.report.basics.distributions import (
    add,
    merge_below,
    quantile,
    quantiles,
    time_resolution_ns,
)
from profiler.report.basics.frame_names import frame_names
from profiler.report.container_labels import told_apart
from profiler.report.link_uses import link_profile
from profiler.report.operations import OperationSamples, seen_lookups_ratio
from profiler.report.task_uses import task_uses
from profiler.report.threads.ended_threads import join_ended
from profiler.report.threads.thread_groups import thread_groups
from profiler.report.threads.thread_paths import with_paths
from profiler.report.threads.thread_roles import Role, thread_roles
from profiler.report.time_line import placed, sample_bins
from profiler.report.unnamed_frames import unnamed_files, unnamed_ratio
from profiler.report.waits.off_cpu import off_cpu

LEFT_OUT = "[... more calls]"


def aggregate(recording: Recording) -> prof.Profile:
    """Return the profile of a recording."""
    names = frame_names(recording)
    roles = thread_roles(recording)
    waits = off_cpu(recording, names, roles)
    recording, thread_counts = join_ended(recording, roles)
    recording, container_counts = join_alike(recording, names)
    operations = OperationSamples(recording)
    containers, position = _containers(recording, names, operations, container_counts)
    threads = _threads(recording, roles, thread_counts)
    groups = thread_groups(threads)
    profile = prof.Profile(
        schema=prof.SCHEMA,
        tool_version=recording.tool_version,
        command=recording.command,
        started_at=recording.started_at,
        target=recording.target,
        window=recording.window,
        stopped_by=recording.stopped_by,
        frequency_hz=recording.frequency_hz,
        cost=_cost(recording),
        sample_accounting=recording.sample_accounting,
        lookup_accounting=recording.lookup_accounting,
        stack_quality=_quality(recording, [(sample.stack, 1) for sample in recording.samples]),
        lookup_stack_quality=_quality(
            recording, [(stack.stack, round(stack.lookups)) for stack in recording.lookup_stacks]
        ),
        unnamed_frames_ratio=unnamed_ratio(recording),
        stacks=tuple(_named(stack, names) for stack in recording.stacks),
        samples=recording.samples,
        lookup_stacks=tuple(
            replace(stack, container=position[stack.container])
            for stack in recording.lookup_stacks
            if stack.container in position
        ),
        threads=threads,
        thread_groups=with_paths(recording, names, groups),
        sockets=recording.sockets,
        containers=containers,
        probe_windows=recording.probe_windows,
        findings=(),
        warnings=recording.warnings,
        children=_children(recording),
        descriptors=recording.descriptors,
        operations=operations.uses({index: containers[at] for index, at in position.items()}),
        seen_lookups_ratio=seen_lookups_ratio(recording),
        host=recording.host,
        total_cpu_ratio=_total_cpu_ratio(recording, threads),
        lookups_not_measured=_why_not_measured(recording),
        time_line=placed(recording.time_line, position),
        sample_bins=sample_bins(recording, groups),
        unnamed_files=unnamed_files(recording),
        off_cpu=waits,
        tasks=_tasks(recording, names, roles),
        links=_links(recording, names, position),
    )
    return replace(profile, findings=find(profile))


def _total_cpu_ratio(recording: Recording, threads: Iterable[prof.Thread]) -> float:
    """Return the process's CPU time; older recordings know only that of its threads."""
    if recording.cpu_ns is None:
        return sum(thread.cpu_ratio for thread in threads)
    return recording.cpu_ns / recording.window.duration_ns


def _tasks(
    recording: Recording, names: Sequence[str], roles: Mapping[int, Role]
) -> TaskProfile | None:
    if recording.tasks is None:
        return None
    threads = {use.tid: use.name for use in recording.threads}
    return task_uses(recording.tasks, names, roles, threads)


def _links(
    recording: Recording, names: Sequence[str], position: Mapping[int, int]
) -> LinkProfile | None:
    if recording.links is None:
        return None
    return link_profile(recording.links, recording.window, recording.stacks, names, position)


def _why_not_measured(recording: Recording) -> str | None:
    """Return why no lookup was looked for; None if probes were placed."""
    if recording.probes:
        return None
    return "--cpu-only" if "--cpu-only" in recording.command else "no probe was placed"


def _cost(recording: Recording) -> prof.CostReport:
    cost, window_ns = recording.cost, recording.window.duration_ns
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
    total = left_out = 0
    for stack, weight in weighted:
        total += weight
        left_out += weight if recording.stacks[stack].left_out else 0
        cause = recording.stacks[stack].cause
        if cause is not None:
            causes[cause] += weight
    whole = total - causes.total()
    return prof.StackQuality(total, whole, tuple(causes.most_common()), left_out)


def _named(stack: Stack, names: Sequence[str]) -> prof.NamedStack:
    frames = [names[frame] for frame in stack.frames]
    if stack.left_out:  # without their number, so that stacks of all depths are drawn together
        frames.insert(stack.left_out_at, LEFT_OUT)
    return prof.NamedStack(tuple(reversed(frames)), stack.kernel_count, stack.cause)


def _threads(
    recording: Recording, roles: Mapping[int, Role], counts: Mapping[int, int]
) -> tuple[prof.Thread, ...]:
    window_ns = recording.window.duration_ns
    samples = Counter(sample.tid for sample in recording.samples)
    named = {tid: role.name for tid, role in roles.items() if role.is_named}
    unnamed = {tid: role.name for tid, role in roles.items() if not role.is_named}
    threads = [
        prof.Thread(
            tid=use.tid,
            name=use.name,
            role=named.get(use.tid),
            cpu_ratio=use.cpu_ns / window_ns,
            run_delay_ratio=None if use.run_delay_ns is None else use.run_delay_ns / window_ns,
            samples=samples[use.tid],
            start=unnamed.get(use.tid),
            count=counts.get(use.tid, 1),
        )
        for use in recording.threads
    ]
    return tuple(sorted(threads, key=lambda thread: (-thread.cpu_ratio, thread.tid)))


def _children(recording: Recording) -> prof.ChildrenUse:
    children, window_ns = recording.children, recording.window.duration_ns
    seen = (
        prof.ChildProcesses(use.name, use.count, use.cpu_ns / window_ns) for use in children.seen
    )
    return prof.ChildrenUse(children.cpu_ns / window_ns, tuple(seen))


def _containers(
    recording: Recording,
    names: Sequence[str],
    operations: OperationSamples,
    counts: Mapping[int, int],
) -> tuple[tuple[prof.ContainerUse, ...], Mapping[int, int]]:
    """Return containers, most expensive first, and the place of each by its index."""
    uses = [
        (groups[0].container, _container(recording, names, operations, groups))
        for groups in _grouped(recording.lookups, "container")
    ]
    uses = [(index, replace(use, count=counts.get(index, 1))) for index, use in uses]
    uses.sort(
        key=lambda use: (-use[1].estimated_duration_ns, -use[1].lookups.measured, use[0]),
    )
    places = {index: place for place, (index, _) in enumerate(uses)}
    return told_apart([use for _, use in uses]), places


def _grouped(groups: Iterable[LookupGroup], *fields: str) -> Iterable[list[LookupGroup]]:
    """Return lists of groups that are equal in these fields."""
    found: dict[object, list[LookupGroup]] = defaultdict(list)
    for group in groups:
        found[attrgetter(*fields)(group)].append(group)
    return found.values()


def _container(
    recording: Recording,
    names: Sequence[str],
    operations: OperationSamples,
    groups: Sequence[LookupGroup],
) -> prof.ContainerUse:
    container = recording.containers[groups[0].container]
    sites = sorted(
        (
            _call_site(recording, operations, same)
            for same in _grouped(groups, "call_site", "entry", "flags")
        ),
        key=lambda site: -site.estimated_duration_ns,
    )

    def name(frame: int | None) -> str | None:
        return None if frame is None else names[frame]

    return prof.ContainerUse(
        address=container.address,
        kind=container.kind,
        name=container_name({site.file for site in sites if site.file}, name(container.comparator)),
        buckets=container.buckets,
        elements_start=container.elements_start,
        elements_end=container.elements_end,
        chain=_chain(container),
        hash_function=name(container.hash_function),
        sort_function=name(container.sort_function),
        comparator=name(container.comparator),
        lookups=_counts(groups),
        comparisons=quantiles(add(group.comparisons for group in groups)),
        sort_calls=quantiles(add(group.sort_calls for group in groups)),
        duration_ns=_durations(recording, groups),
        estimated_comparisons=sum(site.estimated_comparisons for site in sites),
        estimated_duration_ns=sum(site.estimated_duration_ns for site in sites),
        call_sites=tuple(sites),
        cpu=operations.of_lookups(groups),
    )


def _durations(recording: Recording, groups: Sequence[LookupGroup]) -> prof.Quantiles:
    """Return the times of lookups, those below the resolution as one value."""
    resolution_ns = time_resolution_ns(recording.cost.trap_ns)
    return quantiles(merge_below(add(group.duration_ns for group in groups), resolution_ns))


def _call_site(
    recording: Recording, operations: OperationSamples, groups: Sequence[LookupGroup]
) -> prof.CallSiteUse:
    first = groups[0]
    site = recording.call_sites[first.call_site]
    counts = _counts(groups)
    return prof.CallSiteUse(
        file=site.file,
        line=site.line,
        function=site.function,
        entry=first.entry,
        search=search_of(first.entry, first.flags),
        measured=counts.measured,
        estimated_total=counts.estimated_total,
        estimated_low=counts.estimated_low,
        hit_ratio=counts.hit_ratio,
        comparisons=quantiles(add(group.comparisons for group in groups)),
        sort_calls=quantiles(add(group.sort_calls for group in groups)),
        duration_ns=_durations(recording, groups),
        counted=counts.counted,
        cpu=operations.of_lookups(groups),
    )


def _counts(groups: Sequence[LookupGroup]) -> prof.LookupCounts:
    measured = sum(group.measured for group in groups)
    counted = sum(group.counted for group in groups)
    seen = float(sum(max(group.measured, group.counted) for group in groups))
    total = sum(group.estimated_total for group in groups)
    # Groups of one container share its windows and rise and fall together.
    deviation = sum(math.sqrt(group.estimated_variance or 0.0) for group in groups)
    factor = spread(deviation / total) if total > 0 else 1.0
    total = max(total, seen)
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
        estimated_low=max(total / factor, seen),
        estimated_high=max(total * factor, seen) if is_known else None,
        hit_ratio=hits / answered if answered else None,
        steps_agreed=sum(group.steps_agreed for group in groups),
        steps_disagreed=sum(group.steps_disagreed for group in groups),
        counted=counted,
    )


def spread(error_ratio: float) -> float:
    """Return the factor by which an estimate may be too large or too small, with 95 % confidence.

    A number that is not below zero, whose standard error is a large part of it, is taken to be
    log-normal: Burnham et al., Design and Analysis Methods for Fish Survival Experiments, 1987.
    """
    return math.exp(Z_95 * math.sqrt(math.log1p(error_ratio**2)))


def _chain(container: Container) -> prof.Chain:
    lengths = container.chain_lengths
    chains = Distribution(
        count=sum(number for _, number in lengths),
        total=sum(length * number for length, number in lengths),
        max=max((length for length, _ in lengths), default=None),
        slots=tuple((length, length + 1, number) for length, number in lengths),
    )
    if chains.count:
        return prof.Chain(chains.total / chains.count, quantile(chains, 0.99), chains.max)
    if container.buckets and container.elements_end is not None:
        return prof.Chain(container.elements_end / container.buckets, None, None)
    return prof.Chain(None, None, None)
