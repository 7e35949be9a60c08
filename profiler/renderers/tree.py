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


@dataclass(frozen=True, slots=True)
class Tree:
    """Nodes, parents before their children, the heaviest child first; and how many are left out."""

    nodes: tuple[Node, ...]
    left_out: int


class _Branch:
    """A node while it is built."""

    __slots__ = ("children", "weight")

    def __init__(self) -> None:
        self.children: dict[tuple[str, str], _Branch] = {}
        self.weight = 0


def build(lanes: Iterable[Lane], root_label: str, weight_min: float = 0) -> Tree:
    """Return the tree without what weighs less than `weight_min`; all lanes stay."""
    root = _Branch()
    count = 1
    for lane in lanes:
        for frames, weight in lane.stacks:
            branch = root
            branch.weight += weight
            for frame in ((lane.label, "lane"), *frames):
                child = branch.children.get(frame)
                if child is None:
                    child = branch.children[frame] = _Branch()
                    count += 1
                child.weight += weight
                branch = child
    nodes = tuple(_flatten(root, root_label, weight_min))
    return Tree(nodes, count - len(nodes))


def keep_heaviest(tree: Tree, count_max: int) -> Tree:
    """Return a tree of at most `count_max` nodes: never a node without its parent.

    The lightest go first, lanes go last.
    """
    nodes = tree.nodes
    order = sorted(
        range(len(nodes)),
        key=lambda index: (nodes[index].depth > 1, -nodes[index].weight, nodes[index].depth),
    )
    kept = tuple(nodes[index] for index in sorted(order[:count_max]))
    return Tree(kept, tree.left_out + len(nodes) - len(kept))


def _flatten(root: _Branch, root_label: str, weight_min: float) -> Iterator[Node]:
    waiting = [(root, (root_label, "root"), 0, 0)]
    while waiting:
        branch, (label, kind), depth, start = waiting.pop()
        yield Node(label, kind, depth, start, branch.weight)
        children = [
            (frame, child)
            for frame, child in branch.children.items()
            if child.weight >= weight_min or not depth
        ]
        if len(children) > 1:  # most have one
            children.sort(key=lambda item: (-item[1].weight, item[0]))
        below = []
        for frame, child in children:
            below.append((child, frame, depth + 1, start))
            start += child.weight
        waiting += reversed(below)  # the first child is taken from the stack first
