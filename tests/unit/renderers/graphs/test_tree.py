from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.renderers.graphs.lanes import Lane
from profiler.renderers.graphs.tree import Node, build, keep_heaviest

PATHS = st.lists(st.tuples(st.sampled_from("abc"), st.just("user")), max_size=6).map(tuple)


@st.composite
def lanes(draw) -> tuple[Lane, ...]:
    stacks = st.dictionaries(PATHS, st.integers(1, 1_000), min_size=1, max_size=12)
    made = draw(st.dictionaries(st.text(max_size=3), stacks, max_size=3))
    return tuple(Lane(label, tuple(rows.items())) for label, rows in made.items())


def test_equal_frames_are_merged_and_the_heaviest_comes_first() -> None:
    a, b, c = (("a", "user"), ("b", "user"), ("c", "kernel"))
    lane = Lane("t", (((a, b), 1), ((a, c), 3), ((a,), 2), ((b,), 1)))
    assert build((lane,), "all").nodes == (
        Node("all", "root", 0, 0, 7),
        Node("t", "lane", 1, 0, 7),
        Node("a", "user", 2, 0, 6),
        Node("c", "kernel", 3, 0, 3),
        Node("b", "user", 3, 3, 1),
        Node("b", "user", 2, 6, 1),
    )


@given(lanes())
def test_the_weight_of_all_lanes_is_kept(made: tuple[Lane, ...]) -> None:
    assert build(made, "all").nodes[0].weight == sum(lane.weight for lane in made)


@given(lanes())
def test_children_lie_side_by_side_inside_their_parent(made: tuple[Lane, ...]) -> None:
    ends: list[int] = []
    parents: list[Node] = []
    for node in build(made, "all").nodes:
        del parents[node.depth :], ends[node.depth + 1 :]
        if parents:
            parent = parents[-1]
            first = ends[node.depth] if node.depth < len(ends) else parent.start
            assert node.start == first
            assert node.start + node.weight <= parent.start + parent.weight
        parents.append(node)
        ends[node.depth :] = [node.start + node.weight]


@given(lanes(), st.integers(0, 500), st.integers(1, 12))
def test_what_is_kept_is_heavy_and_has_its_parents(
    made: tuple[Lane, ...], weight_min: int, count_max: int
) -> None:
    whole = build(made, "all")
    tree = keep_heaviest(build(made, "all", weight_min), count_max)
    kept = tree.nodes
    assert len(kept) <= count_max
    assert len(kept) + tree.left_out == len(whole.nodes)
    assert set(kept) <= set(whole.nodes)
    depths = [-1]
    for node in kept:
        assert node.weight >= weight_min or node.depth < 2
        assert node.depth <= depths[-1] + 1
        depths.append(node.depth)


def test_a_stack_of_ten_thousand_frames_needs_no_recursion() -> None:
    frames = tuple((str(index), "user") for index in range(10_000))
    assert build((Lane("t", ((frames, 1),)),), "all").nodes[-1].depth == 10_001
