"""Where links on the page lead: from a finding to what it is about, and from there back."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain

from profiler.model.finding import Finding
from profiler.model.profile import CallSiteUse, ContainerUse, OperationUse, Profile, ThreadGroup
from profiler.model.task_profile import TaskQueue
from profiler.renderers.graphs.flamegraph import frame_name, page_graphs
from profiler.renderers.page.anchors import (
    COMPARISONS_GRAPH,
    CPU_GRAPH,
    call_site_anchor,
    container_anchor,
    operation_anchor,
    slug,
    task_anchor,
    thread_anchor,
)
from profiler.renderers.page.tables import Link
from profiler.renderers.words.labels import call_site_label, clip, container_label
from profiler.renderers.words.shared import shared
from profiler.renderers.words.thread_groups import group_label, lane_namer

_LABEL_MAX = 60
_CALL_SITES_MAX = 2  # of a finding


@shared
def finding_anchors(profile: Profile) -> tuple[str, ...]:
    """Return the name of each finding: by its kind, and counted where there are several."""
    kinds = [slug("finding", finding.id) for finding in profile.findings]
    return tuple(
        kind if number == 0 else f"{kind}-{number + 1}"
        for kind, number in ((kind, kinds[:at].count(kind)) for at, kind in enumerate(kinds))
    )


def finding_links(profile: Profile, finding: Finding) -> tuple[Link, ...]:
    """Return links from a finding to its threads, containers, call sites, operations and queues."""
    subject = finding.subject
    found: list[Link] = []
    sites: list[Link] = []
    for group in profile.thread_groups:
        if group.tids[0] in subject.tids:
            found.append(Link(clip(group_label(group), _LABEL_MAX), thread_anchor(group)))
            found += thread_graph(profile, group)
    for container in profile.containers:
        if container.address in subject.containers:
            label = clip(container_label(container), _LABEL_MAX)
            found.append(Link(label, container_anchor(container)))
            sites += _finding_call_sites(profile, container, subject.places)
    for use in profile.operations or ():
        if use.place in subject.places and not sites:
            label = clip(f"{use.name} {call_site_label(use)}", _LABEL_MAX)
            found.append(Link(label, operation_anchor(use)))
            found += function_graph(profile, use.function)
    found += [Link(clip(name, _LABEL_MAX), task_anchor(name)) for name in subject.queues]
    return tuple(dict.fromkeys(found + sites))


def _finding_call_sites(
    profile: Profile, container: ContainerUse, places: Collection[str]
) -> list[Link]:
    sites = [at for at in enumerate(container.call_sites) if at[1].place in places]
    found: list[Link] = []
    for number, site in sites[:_CALL_SITES_MAX]:
        label = clip(call_site_label(site), _LABEL_MAX)
        found.append(Link(label, call_site_anchor(container, number)))
        found += function_graph(profile, site.function)
    return found


def thread_links(profile: Profile, group: ThreadGroup) -> tuple[Link, ...]:
    """Return links from a thread to its part of the flame graph and to findings on it."""
    back = _to_findings(profile)[0].get(group.tids[0], ())
    return (*back, *thread_graph(profile, group))


def container_links(profile: Profile, container: ContainerUse) -> tuple[Link, ...]:
    """Return links from a container to findings on it, its call sites, and its comparisons."""
    back = _to_findings(profile)[1].get(container.address, ())
    sites = (Link("call sites", call_site_anchor(container, 0)),) if container.call_sites else ()
    label = container_label(container)
    return (*back, *sites, *_graph_link(_drawn(profile)[1], COMPARISONS_GRAPH, label))


def call_site_links(
    profile: Profile, container: ContainerUse, site: CallSiteUse
) -> tuple[Link, ...]:
    """Return links from a call site to its container and its place in the flame graph."""
    to_container = Link("container", container_anchor(container))
    return (to_container, *function_graph(profile, site.function))


def operation_findings(profile: Profile, use: OperationUse) -> tuple[Link, ...]:
    """Return links from an operation back to findings on it."""
    anchors = zip(profile.findings, finding_anchors(profile), strict=True)
    return tuple(
        Link(f"finding {finding.rank}", anchor)
        for finding, anchor in anchors
        if use.place in finding.subject.places
    )


def queue_links(profile: Profile, queue: TaskQueue) -> tuple[Link, ...]:
    """Return links from a task processor to findings on it, and to its function in the graph."""
    anchors = zip(profile.findings, finding_anchors(profile), strict=True)
    back = tuple(
        Link(f"finding {finding.rank}", anchor)
        for finding, anchor in anchors
        if queue.name in finding.subject.queues
    )
    drawn = (function_graph(profile, function.name) for function in queue.functions[:1])
    return (*back, *chain.from_iterable(drawn))


def thread_graph(profile: Profile, group: ThreadGroup) -> tuple[Link, ...]:
    """Return the link to a thread in the flame graph; () if it is not drawn."""
    return _graph_link(_drawn(profile)[0], CPU_GRAPH, lane_namer(profile)(group.tids[0]))


def function_graph(profile: Profile, function: str) -> tuple[Link, ...]:
    """Return the link to a function in the flame graph of CPU time; () if it is not drawn."""
    return _graph_link(_drawn(profile)[0], CPU_GRAPH, function, f"~{function}")


def _graph_link(drawn: Collection[str], graph: str, *labels: str) -> tuple[Link, ...]:
    names = (frame_name(label) for label in labels)
    return tuple(Link("flame graph", graph, name) for name in names if name in drawn)[:1]


@shared
def _drawn(profile: Profile) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the frames that each of the two graphs draws."""

    samples, comparisons = (
        frozenset(frame_name(node.label) for node in graph.tree.nodes)
        for graph in page_graphs(profile)
    )
    return samples, comparisons


@shared
def _to_findings(profile: Profile) -> tuple[dict[int, list[Link]], dict[int, list[Link]]]:
    """Return links back to findings: by a thread's tid, and by a container's address."""
    by_tid: dict[int, list[Link]] = {}
    by_address: dict[int, list[Link]] = {}
    for finding, anchor in zip(profile.findings, finding_anchors(profile), strict=True):
        back = Link(f"finding {finding.rank}", anchor)
        for tid in finding.subject.tids:
            by_tid.setdefault(tid, []).append(back)
        for address in finding.subject.containers:
            by_address.setdefault(address, []).append(back)
    return by_tid, by_address
