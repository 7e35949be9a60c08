"""offcpu.svg: when threads did not run, by role. Who waits for work is left out of it.

The last frame of each stack says for what, how often and how long threads waited there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TextIO

from profiler.model.off_cpu_profile import OffCpuProfile, WaitStack
from profiler.model.profile import Profile
from profiler.renderers.graphs.flamegraph import LEGEND, Graph, drawn, share, write
from profiler.renderers.graphs.lanes import Frame, Lane, WeightedStack, shown_stacks, whole_numbers
from profiler.renderers.graphs.tree import Node, keep_heaviest
from profiler.renderers.words import numbers
from profiler.renderers.words.labels import LABEL_MAX, clip, target_label, window_label
from profiler.renderers.words.shared import shared
from profiler.renderers.words.waiting import (
    IDLE_WORDS,
    NOT_LOOKED,
    kind_label,
    lock_label,
    many,
    spread,
)

_FRAMES_ON_PAGE_MAX = 2_000
_NO_STACK = (("[no stack]", "truncated"),)
_LEGEND = (*LEGEND[:3], LEGEND[-1], ("#c9a7e8", "what it waits for"))


def render(profile: Profile, out: TextIO) -> None:
    """Write the graph as a file of its own."""
    write(wait_graph(profile), out)


@shared
def wait_graph(profile: Profile) -> Graph:
    """Return the graph of all waits but those for work."""
    lanes = wait_lanes(profile, is_idle=False, last_frame=_told)
    tree = drawn(lanes, "all threads")

    def weigh(node: Node) -> str:
        return f"{numbers.duration(node.weight * 1e3)}, {share(node, tree)}"

    return Graph(
        title=f"When threads of {target_label(profile)} did not run",
        caption=_caption(profile),
        lane_word="role",
        tree=tree,
        weigh=weigh,
        nothing=NOT_LOOKED
        if profile.off_cpu is None
        else f"Nobody waited but {IDLE_WORDS}, which is no trouble.",
        legend=_LEGEND,
    )


def page_graph(profile: Profile) -> Graph:
    """Return the graph as far as report.html draws it."""
    graph = wait_graph(profile)
    return replace(graph, tree=keep_heaviest(graph.tree, _FRAMES_ON_PAGE_MAX))


def wait_lanes(
    profile: Profile, *, is_idle: bool, last_frame: Callable[[OffCpuProfile, WaitStack], str]
) -> tuple[Lane, ...]:
    """Return one lane for each role, the longest first, in us; idle waits or all others."""
    waits = profile.off_cpu
    if waits is None:
        return ()
    shown = [one for one in waits.stacks if one.is_idle == is_idle]
    weights = whole_numbers([one.time_ns / 1e3 for one in shown])
    threads = {one.role: one.threads for one in waits.roles}
    lanes: dict[str, list[WeightedStack]] = defaultdict(list)
    for one, weight in zip(shown, weights, strict=True):
        if weight:
            frames = _NO_STACK if one.stack is None else shown_stacks(profile)[one.stack]
            told = (clip(last_frame(waits, one), LABEL_MAX), "wait")
            label = _lane(one.role, threads.get(one.role, one.threads))
            lanes[label].append(((*_user(frames), told), weight))
    return tuple(_sorted(lanes))


def wait_kind(waits: OffCpuProfile, one: WaitStack) -> str:
    """Return the last frame for files that are added up by other programs: only the kind."""
    return f"[{one.kind}]"


def _lane(role: str, threads: int) -> str:
    return f"{clip(role, LABEL_MAX)} ({numbers.counted(threads, 'thread')})"


def _sorted(lanes: dict[str, list[WeightedStack]]) -> list[Lane]:
    made = (
        Lane(label, tuple(sorted(stacks, key=lambda item: (-item[1], item[0]))))
        for label, stacks in lanes.items()
    )
    return sorted(made, key=lambda lane: (-lane.weight, lane.label))


def _user(frames: Iterable[Frame]) -> tuple[Frame, ...]:
    """Return a stack without the kernel's frames, which are the same for every wait of a kind."""
    return tuple(frame for frame in frames if frame[1] not in ("kernel", "probe"))


def _told(waits: OffCpuProfile, one: WaitStack) -> str:
    what = kind_label(one.kind)
    if one.lock is not None:
        what = f"{what}: {lock_label(waits.locks[one.lock])}"
    return f"[{what}; {many(waits, one.count)}, {spread(one.duration_ns, one.max_ns)}]"


def _caption(profile: Profile) -> str:
    waits = profile.off_cpu
    if waits is None:
        return f"{window_label(profile)}: {NOT_LOOKED}"
    idle_ns = sum(role.idle_ns for role in waits.roles)
    seen, share_seen = waits.accounting.seen, numbers.percent(waits.covered_ratio)
    return (
        f"{window_label(profile)}, without {numbers.duration(idle_ns)} of idle waiting: "
        f"{numbers.counted(seen, 'wait')} seen in {share_seen} of the time, "
        f"{waits.accounting.missed:,} lost"
    )
