"""The tree of frames that a flame graph draws: equal frames under equal parents are one node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from profiler.renderers.graphs.lanes import Frame, Lane, WeightedStack


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


@dataclass(frozen=True, slots=True)
class _Branch:
    """A node, and the stacks through it: what is below it is only made when it is drawn."""

    frame: Frame
    depth: int
    start: int
    weight: int
    stacks: Sequence[WeightedStack]


def build(lanes: Iterable[Lane], root_label: str, weight_min: float = 0) -> Tree:
    """Return the tree without what weighs less than `weight_min`; all lanes stay."""
    nodes = []
    left_out = start = 0
    waiting = []
    for lane in sorted(lanes, key=lambda lane: (-lane.weight, lane.label)):
        waiting.append(_Branch((lane.label, "lane"), 1, start, lane.weight, lane.stacks))
        start += lane.weight
    nodes.append(Node(root_label, "root", 0, 0, start))
    waiting.reverse()  # the first child is taken from it first
    while waiting:
        branch = waiting.pop()
        nodes.append(Node(*branch.frame, branch.depth, branch.start, branch.weight))
        below = _children(branch)
        drawn = [child for child in below if child.weight >= weight_min]
        left_out += sum(_count(child) for child in below[len(drawn) :])
        waiting += reversed(drawn)
    return Tree(tuple(nodes), left_out)


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


def _children(branch: _Branch) -> list[_Branch]:
    """Return the branches right below, the heaviest first."""
    place = branch.depth - 1  # a lane has no frame of its own in its stacks
    below: dict[Frame, list[WeightedStack]] = {}
    for stack in branch.stacks:
        if len(stack[0]) > place:
            below.setdefault(stack[0][place], []).append(stack)
    weights = {frame: sum(weight for _, weight in stacks) for frame, stacks in below.items()}
    start = branch.start
    children = []
    for frame in sorted(below, key=lambda frame: (-weights[frame], frame)):
        children.append(_Branch(frame, branch.depth + 1, start, weights[frame], below[frame]))
        start += weights[frame]
    return children


def _count(branch: _Branch) -> int:
    """Return how many nodes a branch has, itself included."""
    count = 1
    before: tuple[Frame, ...] = ()
    for frames, _ in sorted(branch.stacks):
        same = branch.depth - 1
        while same < min(len(frames), len(before)) and frames[same] == before[same]:
            same += 1
        count += len(frames) - same
        before = frames
    return count
