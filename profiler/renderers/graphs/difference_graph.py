"""The difference of two profiles as a flame graph: red takes more than before, blue takes less.

Widths are CPU time of AFTER, per second. What is only in BEFORE has no width there, so it has a
lane of its own, at the same scale. Colours say how sure a change is, not how large: what chance
explains stays grey.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TextIO

from profiler.model.difference import CpuChange, sample_ratio, sampled_change
from profiler.model.profile import Profile
from profiler.renderers.graphs import flamegraph
from profiler.renderers.graphs.flamegraph import Graph
from profiler.renderers.graphs.lanes import (
    Frame,
    Lane,
    WeightedStack,
    lanes_of_samples,
    whole_numbers,
)
from profiler.renderers.graphs.tree import Node, build
from profiler.renderers.words import numbers
from profiler.renderers.words.difference_labels import signed_percent
from profiler.renderers.words.labels import LABEL_MAX, clip, target_label, window_label

_ALL = "all threads"
_GONE = "[only in BEFORE]"
_GONE_NUMBER = -1
_LEVELS = (1, 2, 3)  # times the error, from which on a colour is darker
_LEGEND = (
    ("#b2182b", "more than before"),
    ("#fddbc7", "more, less surely"),
    ("#d9dce0", "same, within the error"),
    ("#d1e5f0", "less, less surely"),
    ("#2166ac", "less than before"),
)

_Numbers = dict[tuple[int, Frame], int]  # a number for each frame under the number of its caller


@dataclass(frozen=True, slots=True)
class _Counts:
    """Samples before and after, by the number of a place in the tree of calls."""

    numbers: _Numbers
    before: Mapping[int, int]
    after: Mapping[int, int]
    sample_ratios: tuple[float, float]

    def with_gone(self, samples: int) -> _Counts:
        """Return them with so many samples before in the lane of what is gone."""
        return replace(self, before={**self.before, _GONE_NUMBER: samples})

    def change(self, number: int) -> CpuChange:
        """Return how the CPU time of a place changed."""
        counts = self.before.get(number, 0), self.after.get(number, 0)
        return sampled_change((), counts, self.sample_ratios)


def render(before: Profile, after: Profile, out: TextIO) -> None:
    """Write the graph as an SVG file."""
    flamegraph.write(difference_graph(before, after), out)


def difference_graph(before: Profile, after: Profile) -> Graph:
    """Return the graph of what changed."""
    old, new = _lanes(before), _lanes(after)
    counts = _counted(old, new, (sample_ratio(before), sample_ratio(after)))
    gone = _gone(old, counts)
    counts = counts.with_gone(sum(weight for _, weight in gone))
    tree = flamegraph.drawn([*new, *_gone_lane(gone, counts)], _ALL)
    changes = [counts.change(number) for number in _numbered(tree.nodes, counts.numbers)]
    nodes = tuple(
        replace(node, kind=_colour(change))
        for node, change in zip(tree.nodes, changes, strict=True)
    )
    said = {
        (node.start, node.depth): _said(change) for node, change in zip(nodes, changes, strict=True)
    }
    return Graph(
        title=f"Change of CPU time of {target_label(after)}",
        caption=(
            f"BEFORE: {window_label(before)}. AFTER: {window_label(after)}. Widths are CPU time "
            "of AFTER; darker is surer"
        ),
        lane_word="thread",
        tree=replace(tree, nodes=nodes),
        weigh=lambda node: said[node.start, node.depth],
        nothing="No sample was taken.",
        legend=_LEGEND,
    )


def _lanes(profile: Profile) -> tuple[Lane, ...]:
    """Return one lane for all threads that run the same: their tids differ between recordings."""
    titles = {thread.tid: clip(thread.title, LABEL_MAX) for thread in profile.threads}
    return lanes_of_samples(profile, lambda tid: titles.get(tid, "thread"))


def _counted(
    old: Sequence[Lane], new: Sequence[Lane], sample_ratios: tuple[float, float]
) -> _Counts:
    known: _Numbers = {}
    before, after = (
        {number: node.weight for node, number in zip(nodes, _numbered(nodes, known), strict=True)}
        for nodes in (build(lanes, _ALL).nodes for lanes in (old, new))
    )
    return _Counts(known, before, after, sample_ratios)


def _numbered(nodes: Sequence[Node], known: _Numbers) -> Iterator[int]:
    """Yield the number of each node's place; new places get the next ones.

    Below the lane of what is gone, places are those that they had below the root.
    """
    callers: list[int] = []
    for node in nodes:
        del callers[node.depth :]
        if node.depth == 1 and node.label == _GONE:
            callers.append(callers[0])
            yield _GONE_NUMBER
            continue
        frame = (node.label, "" if node.depth == 0 else node.kind)
        caller = callers[-1] if callers else 0
        callers.append(known.setdefault((caller, frame), len(known) + 1))
        yield callers[-1]


def _gone(old: Sequence[Lane], counts: _Counts) -> list[WeightedStack]:
    """Return the stacks with a call that was there before, surely, and is not any more."""
    stacks = (
        (((lane.label, "lane"), *frames), weight) for lane in old for frames, weight in lane.stacks
    )
    return [stack for stack in stacks if _is_gone(stack[0], counts)]


def _gone_lane(gone: Sequence[WeightedStack], counts: _Counts) -> Iterator[Lane]:
    """Yield a lane of these stacks, if there are any, at the scale of the others."""
    before, after = counts.sample_ratios
    scaled = whole_numbers([weight * before / after for _, weight in gone])
    stacks = [(frames, weight) for (frames, _), weight in zip(gone, scaled, strict=True) if weight]
    if stacks:
        yield Lane(_GONE, tuple(stacks))


def _is_gone(frames: Sequence[Frame], counts: _Counts) -> bool:
    number = counts.numbers[0, (_ALL, "")]
    for frame in frames:
        number = counts.numbers[number, frame]
        if number not in counts.after:
            return counts.change(number).is_clear
    return False


def _colour(change: CpuChange) -> str:
    """Return the class that colours a node: by how many times the error it changed."""
    if not change.is_clear:
        return "same"
    times = abs(change.delta_ratio) / change.noise_ratio
    level = sum(times >= least for least in _LEVELS)
    return f"{'more' if change.delta_ratio > 0 else 'less'}{level}"


def _said(change: CpuChange) -> str:
    before, after = numbers.percent(change.before_ratio), numbers.percent(change.after_ratio)
    said = signed_percent(change.delta_ratio) if change.is_clear else "within the error"
    return f"{before} before, {after} after of one CPU: {said}"
