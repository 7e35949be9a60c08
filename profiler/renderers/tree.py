"""The tree of frames that a flame graph draws: equal frames under equal parents are one node."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from profiler.renderers.lanes import Lane


@dataclass(frozen=True, slots=True)
class Node:
    """A frame that covers the weights [start, start + weight) of the whole, at a depth."""

    label: str
    kind: str  # root, lane, or a kind of labels.shown_frames
    depth: int
    start: int
    weight: int


class _Branch:
    """A node while it is built."""

    __slots__ = ("children", "weight")

    def __init__(self) -> None:
        self.children: dict[tuple[str, str], _Branch] = {}
        self.weight = 0


def build(lanes: Iterable[Lane], root_label: str) -> tuple[Node, ...]:
    """Return all nodes, parents before their children, the heaviest child first."""
    root = _Branch()
    for lane in lanes:
        for frames, weight in lane.stacks:
            branch = root
            branch.weight += weight
            for frame in ((lane.label, "lane"), *frames):
                child = branch.children.get(frame)
                if child is None:
                    child = branch.children[frame] = _Branch()
                child.weight += weight
                branch = child
    return tuple(_flatten(root, root_label))


def keep_heaviest(nodes: tuple[Node, ...], weight_min: float, count_max: int) -> tuple[Node, ...]:
    """Return the nodes that are worth drawing: never a node without its parent.

    Those below `weight_min` go, then the lightest until `count_max` are left; lanes go last.
    """
    order = sorted(
        (index for index, node in enumerate(nodes) if node.weight >= weight_min or node.depth < 2),
        key=lambda index: (nodes[index].depth > 1, -nodes[index].weight, nodes[index].depth),
    )
    return tuple(nodes[index] for index in sorted(order[:count_max]))


def _flatten(root: _Branch, root_label: str) -> Iterator[Node]:
    waiting = [(root, (root_label, "root"), 0, 0)]
    while waiting:
        branch, (label, kind), depth, start = waiting.pop()
        yield Node(label, kind, depth, start, branch.weight)
        children = list(branch.children.items())
        if len(children) > 1:  # most have one
            children.sort(key=lambda item: (-item[1].weight, item[0]))
        child_start = start + sum([child.weight for _, child in children])
        for frame, child in reversed(children):  # the first child is taken from the stack first
            child_start -= child.weight
            waiting.append((child, frame, depth + 1, child_start))
