from __future__ import annotations

import struct

import pytest

from profiler.asterisk import MAGIC, MAGIC_OFFSET
from profiler.containers import TargetMemory, read_container
from profiler.watched_links import Link, LinkChooser
from profiler.wire import Kind

BASE = 0x10000
CONTAINER = 0x10100
OTHER = 0x10800
V_TABLE = 0x10020
NODES = 0x20000
NODE_BYTES = 64
CODE = 0x4000
BUCKETS = 7
BUCKET = 3


class Memory(TargetMemory):
    """A piece of memory that begins at BASE."""

    def __init__(self) -> None:
        self.data = bytearray(0x40000)
        self.reads = 0

    def read(self, address: int, length: int) -> bytes | None:
        self.reads += 1
        at = address - BASE
        return bytes(self.data[at : at + length]) if 0 <= at <= len(self.data) - length else None

    def put(self, address: int, form: str, *values: int) -> None:
        struct.pack_into("<" + form, self.data, address - BASE, *values)


class HashContainer:
    """A container of release builds, or of AO2_DEBUG builds, with one chain."""

    def __init__(self, length: int, is_debug: bool = False) -> None:
        self.memory = Memory()
        self.nodes = [NODES + NODE_BYTES * index for index in range(length)]
        fields, self.bucket_bytes = (48, 24) if is_debug else (40, 16)
        self.buckets = CONTAINER + fields + 16
        self.memory.put(V_TABLE, "Q", CODE)
        self.memory.put(CONTAINER + MAGIC_OFFSET, "I", MAGIC << 4)
        self.memory.put(CONTAINER, "QQQIi", V_TABLE, 0, CODE, 0, length)
        self.memory.put(CONTAINER + fields, "Qi", CODE, BUCKETS)
        self.fill(BUCKET)
        for node in self.nodes:
            self.memory.put(node, "QQQ", 1, CONTAINER, 1)
            self.memory.put(node + 40, "i", BUCKET)
        for node, following in zip(self.nodes, self.nodes[1:], strict=False):
            self.lead(node, following)

    def fill(self, bucket: int) -> None:
        self.memory.put(self.head(bucket), "Q", self.nodes[0])

    def head(self, bucket: int) -> int:
        return self.buckets + bucket * self.bucket_bytes

    def lead(self, node: int, following: int) -> None:
        self.memory.put(node + 24, "Q", following)

    def link(self, index: int) -> Link:
        address = self.nodes[index - 1] + 24 if index else self.head(BUCKET)
        return Link(address, self.nodes[index], CONTAINER)

    def chooser(self) -> LinkChooser:
        return LinkChooser(self.memory, is_code)

    def choose(self) -> Link | None:
        return self.chooser().choose(CONTAINER, self.nodes[0])


def is_code(address: int) -> bool:
    return address == CODE


@pytest.mark.parametrize("is_debug", [False, True])
@pytest.mark.parametrize(("length", "index"), [(1, 0), (2, 1), (10, 8), (1000, 929)])
def test_a_link_that_one_of_a_hundred_lookups_passes_is_tried_first(
    length: int, index: int, is_debug: bool
) -> None:
    container = HashContainer(length, is_debug)
    assert container.choose() == container.link(index)


def test_any_node_tells_which_chain() -> None:
    container = HashContainer(10)
    assert container.chooser().choose(CONTAINER, container.nodes[7]) == container.link(8)


def test_a_chain_that_leaves_the_container_ends_there() -> None:
    container = HashContainer(10)
    container.memory.put(container.nodes[4] + 8, "Q", OTHER)
    assert container.choose() == container.link(3)


def test_a_chain_that_leaves_readable_memory_ends_there() -> None:
    container = HashContainer(10)
    container.lead(container.nodes[4], 0x7F0000000000)
    assert container.choose() == container.link(4)


def test_a_chain_that_loops_is_followed_for_a_while() -> None:
    container = HashContainer(10)
    container.lead(container.nodes[-1], container.nodes[0])
    link = container.choose()
    assert link is not None
    assert link.node in container.nodes
    assert container.memory.reads < 5_000


def test_a_chain_that_is_empty_by_now_has_no_link() -> None:
    container = HashContainer(10)
    container.memory.put(container.head(BUCKET), "Q", 0)
    assert container.choose() is None


@pytest.mark.parametrize("bucket", [BUCKETS, -1])
def test_a_node_in_a_bucket_that_is_none_has_no_link(bucket: int) -> None:
    container = HashContainer(10)
    container.memory.put(container.nodes[0] + 40, "i", BUCKETS - 1)
    container.fill(BUCKETS - 1)
    assert container.choose() is not None
    container.memory.put(container.nodes[0] + 40, "i", bucket)
    container.fill(bucket)
    assert container.choose() is None


def test_nodes_of_a_tree_have_no_link() -> None:
    container = HashContainer(10)
    container.memory.put(CONTAINER + 40, "QQ", container.nodes[0], 0)
    state = read_container(container.memory, CONTAINER, is_code)
    assert state is not None
    assert state.layout.kind is Kind.RBTREE
    assert container.choose() is None


def test_what_is_no_container_any_more_has_no_link() -> None:
    container = HashContainer(10)
    container.memory.put(CONTAINER + MAGIC_OFFSET, "I", 0)
    assert container.choose() is None


def test_a_node_that_cannot_be_read_has_no_link() -> None:
    assert HashContainer(10).chooser().choose(CONTAINER, 0x7F0000000000) is None


@pytest.mark.parametrize("index", [0, 5])
def test_a_link_is_there_as_long_as_it_leads_to_its_node(index: int) -> None:
    container = HashContainer(10)
    chooser, link = container.chooser(), container.link(index)
    assert chooser.is_there(link)
    container.memory.put(link.address, "Q", container.nodes[index + 1])
    assert not chooser.is_there(link)


def test_a_link_to_a_node_of_another_container_is_gone() -> None:
    container = HashContainer(10)
    container.memory.put(container.nodes[5] + 8, "Q", OTHER)
    assert not container.chooser().is_there(container.link(5))


def test_a_link_that_cannot_be_read_is_gone() -> None:
    container = HashContainer(10)
    chooser = container.chooser()
    assert not chooser.is_there(Link(0x7F0000000000, container.nodes[0], CONTAINER))
    container.memory.put(container.head(BUCKET), "Q", 0x7F0000000000)
    assert not chooser.is_there(Link(container.head(BUCKET), 0x7F0000000000, CONTAINER))


@pytest.mark.parametrize(("buckets", "index"), [(1, 989), (50, 500), (99, 10), (100, 0), (4999, 0)])
def test_the_more_buckets_the_nearer_to_its_head_a_link_is_tried(buckets: int, index: int) -> None:
    container = HashContainer(1000)
    container.memory.put(container.buckets - 8, "i", buckets)
    container.memory.put(container.nodes[0] + 40, "i", 0)
    container.fill(0)
    link = container.choose()
    assert link is not None
    assert container.nodes.index(link.node) == pytest.approx(index, abs=1)


def with_many_chains(*lengths: int, buckets: int = 200) -> HashContainer:
    """Return a container with chains of these lengths in its first buckets."""
    container = HashContainer(sum(lengths))
    container.memory.put(container.head(BUCKET), "Q", 0)
    container.memory.put(container.buckets - 8, "i", buckets)
    begin = 0
    for bucket, length in enumerate(lengths):
        nodes = container.nodes[begin : begin + length]
        begin += length
        for at, node in enumerate(nodes):
            container.memory.put(node + 40, "i", bucket)
            container.lead(node, nodes[at + 1] if at + 1 < length else 0)
        if nodes:
            container.memory.put(container.head(bucket), "Q", nodes[0])
    return container


@pytest.mark.parametrize(("node", "first"), [(0, 11), (10, 11), (20, 20)])
def test_of_many_chains_a_long_one_is_watched(node: int, first: int) -> None:
    container = with_many_chains(3, 0, 7, 1, 9, 2)
    link = container.chooser().choose(CONTAINER, container.nodes[node])
    # The buckets from that of the node on are read, so not that of nine from the last chain.
    assert link is not None
    assert container.nodes.index(link.node) == first


def test_of_few_chains_the_one_in_which_a_lookup_ended_is_watched() -> None:
    container = with_many_chains(3, 0, 7, 1, 9, 2, buckets=7)
    link = container.chooser().choose(CONTAINER, container.nodes[3])
    assert link is not None
    assert 3 <= container.nodes.index(link.node) < 10


def test_not_all_of_many_chains_are_read() -> None:
    container = with_many_chains(*[1] * 40, 9, buckets=200)
    link = container.chooser().choose(CONTAINER, container.nodes[0])
    assert link is not None
    assert container.nodes.index(link.node) == 0


def chooser_of(container: HashContainer) -> LinkChooser:
    """Return one that has chosen."""
    chooser = container.chooser()
    assert chooser.choose(CONTAINER, container.nodes[0]) is not None
    return chooser


def test_where_too_many_lookups_pass_the_last_link_is_next() -> None:
    container = HashContainer(1000)
    chooser = chooser_of(container)
    assert chooser.move(0.051)
    assert chooser.choose(CONTAINER, container.nodes[0]) == container.link(999)
    assert not chooser.move(0.051)


def test_where_too_few_lookups_pass_links_nearer_to_the_head_are_next() -> None:
    container = HashContainer(1000)
    chooser = chooser_of(container)
    places = []
    while chooser.move(0.004):
        link = chooser.choose(CONTAINER, container.nodes[0])
        assert link is not None
        places.append(container.nodes.index(link.node))
    assert places == [465, 232, 116, 58, 0]


@pytest.mark.parametrize(("length", "passing_ratio"), [(1, 0.0), (1, 1.0), (7, 1.0)])
def test_where_no_other_link_is_better_none_is_chosen(length: int, passing_ratio: float) -> None:
    """To begin anew would cost what is known of the link."""
    container = HashContainer(length)
    assert container.choose() == container.link(length - 1)
    assert not chooser_of(container).move(passing_ratio)


@pytest.mark.parametrize("passing_ratio", [0.005, 0.02, 0.05])
def test_a_link_that_a_few_lookups_pass_is_kept(passing_ratio: float) -> None:
    container = HashContainer(1000)
    chooser = chooser_of(container)
    assert not chooser.move(passing_ratio)
    assert chooser.choose(CONTAINER, container.nodes[0]) == container.link(929)


def test_in_another_container_the_place_is_found_anew() -> None:
    container = HashContainer(1000)
    chooser = chooser_of(container)
    assert chooser.move(0.051)
    moved = chooser.choose(CONTAINER, container.nodes[0])
    # With the header that is in front of it.
    at, to, size = CONTAINER - BASE - 0x80, OTHER - BASE - 0x80, 0x600
    container.memory.data[to : to + size] = container.memory.data[at : at + size]
    for node in container.nodes:
        container.memory.put(node + 8, "Q", OTHER)
    other = chooser.choose(OTHER, container.nodes[0])
    assert moved is not None and moved.node == container.nodes[999]
    assert other is not None and other.node == container.nodes[929]


def test_trying_ends_where_no_link_is_right() -> None:
    chooser = chooser_of(HashContainer(1000))
    moves = [chooser.move(passing_ratio) for _ in range(20) for passing_ratio in (0.0, 1.0)]
    assert moves == [True] * 8 + [False] * 32
