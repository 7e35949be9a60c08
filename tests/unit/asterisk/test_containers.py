"""Containers read from memory that is made here: sound, damaged and hostile."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.asterisk import containers
from profiler.asterisk.containers import read_chain_lengths, read_container
from profiler.model.observed import ContainerState
from profiler.process.memory import TargetMemory
from profiler.wire.lookups import Kind, Layout

CONTAINER = 0x7F00_0000_1010
TABLE = 0x5555_0000_2000
NODES = 0x7F00_0010_0000
DESTROY, HASH, SORT, COMPARE = range(0x5555_0000_1000, 0x5555_0000_1040, 0x10)
NOWHERE = 0x1111_1111_1000
MAGIC = 0xA70B_1230  # 28 bits of magic, no option
MAGIC_OF_13 = 0xA70B_123 << 2  # 30 bits, of which the upper two are clear


class Memory(TargetMemory):
    """Pieces of memory by their addresses; notes what is read."""

    def __init__(self, pieces: dict[int, bytes]) -> None:
        self.pieces = pieces
        self.lengths: list[int] = []

    def read(self, address: int, length: int) -> bytes | None:
        self.lengths.append(length)
        for start, piece in self.pieces.items():
            at = address - start
            if at >= 0 and at + length <= len(piece):
                return piece[at : at + length]
        return None

    def read_many(self, addresses: list[int], length: int) -> list[bytes | None]:
        return [self.read(address, length) for address in addresses]


def is_code(address: int) -> bool:
    return address in (DESTROY, HASH, SORT, COMPARE)


def words(*values: int) -> bytes:
    return b"".join((value % (1 << 64)).to_bytes(8, "little") for value in values)


def two(low: int, high: int) -> int:
    """Return two ints of 32 bits as the word that they lie in."""
    return low % (1 << 32) | (high % (1 << 32)) << 32


def memory(
    *rest: int,
    magic: int = MAGIC,
    table: int = TABLE,
    sort: int = SORT,
    compare: int = COMPARE,
    elements: int = 5,
    length: int = 200,
) -> Memory:
    """Lay out a container; `rest` are its words from byte 32 on, the first one counts nodes."""
    container = words(table, sort, compare, two(0x30, elements), 7, *rest)
    return Memory(
        {
            CONTAINER - 4: magic.to_bytes(4, "little") + container[:length],
            TABLE: words(DESTROY, *[0] * 7),
        }
    )


def hash_layout(buckets: int = 7, function: int = HASH) -> tuple[int, ...]:
    return function, two(buckets, 0), *[0] * 14


def debug_hash_layout(buckets: int = 7) -> tuple[int, ...]:
    return two(3, 0), *hash_layout(buckets)


def state_of(kind: Layout, buckets: int | None, hash_function: int | None) -> ContainerState:
    return ContainerState(TABLE, SORT, COMPARE, hash_function, 5, buckets, kind)


RELEASE = Layout(Kind.HASH, buckets_offset=56, bucket_bytes=16, bucket_count_offset=48)
DEBUG = Layout(Kind.HASH, buckets_offset=64, bucket_bytes=24, bucket_count_offset=56)


@pytest.mark.parametrize("magic", [MAGIC, MAGIC | 0xF, MAGIC_OF_13, MAGIC_OF_13 | 3])
@pytest.mark.parametrize(
    ("rest", "layout"), [(hash_layout(), RELEASE), (debug_hash_layout(), DEBUG)]
)
def test_hash_containers_are_read(rest: tuple[int, ...], layout: Layout, magic: int) -> None:
    found = read_container(memory(*rest, magic=magic), CONTAINER, is_code)
    assert found == state_of(layout, 7, HASH)


def test_a_list_is_a_hash_container_of_one_bucket() -> None:
    found = read_container(memory(*hash_layout(1)), CONTAINER, is_code)
    assert found == state_of(RELEASE, 1, HASH)


def test_functions_that_are_not_there_are_unknown() -> None:
    found = read_container(memory(*hash_layout(), sort=0, compare=0), CONTAINER, is_code)
    assert found is not None
    assert (found.sort_function, found.comparator) == (None, None)


@pytest.mark.parametrize("root_at", [40, 48])
def test_trees_are_found_by_the_owner_of_their_root(root_at: int) -> None:
    rest = {40: (NODES, 0), 48: (two(3, 0), NODES)}[root_at]
    tree = memory(*rest)
    tree.pieces[NODES] = words(0xABC0, CONTAINER, 0, 0)
    layout = Layout(Kind.RBTREE, 0, 0, 0, root_at)
    assert read_container(tree, CONTAINER, is_code) == state_of(layout, None, None)


def test_of_an_empty_tree_nobody_knows_where_its_root_would_be() -> None:
    found = read_container(memory(0, 0, elements=0), CONTAINER, is_code)
    assert found is not None
    assert (found.layout, found.elements) == (Layout(Kind.RBTREE, 0, 0, 0, 0), 0)


@pytest.mark.parametrize("elements", [0, (1 << 30) - 1])
@pytest.mark.parametrize("buckets", [1, (1 << 24) - 1])
def test_the_largest_counts_that_pass(elements: int, buckets: int) -> None:
    found = read_container(memory(*hash_layout(buckets), elements=elements), CONTAINER, is_code)
    assert found is not None
    assert (found.elements, found.buckets) == (elements, buckets)


@pytest.mark.parametrize("elements", [-1, -(1 << 31), 1 << 30, (1 << 31) - 1])
def test_absurd_counts_of_elements_are_refused(elements: int) -> None:
    refused = memory(*hash_layout(), elements=elements)
    assert read_container(refused, CONTAINER, is_code) is None


@pytest.mark.parametrize("buckets", [0, -1, -(1 << 31), 1 << 24, (1 << 31) - 1])
@pytest.mark.parametrize("layout", [hash_layout, debug_hash_layout])
def test_absurd_counts_of_buckets_are_refused(layout, buckets: int) -> None:
    assert read_container(memory(*layout(buckets)), CONTAINER, is_code) is None


@pytest.mark.parametrize("magic", [0, 0xFFFF_FFFF, 0xA70B_1240, 0xA70B_123, MAGIC_OF_13 + 4])
def test_other_magic_numbers_are_refused(magic: int) -> None:
    assert read_container(memory(*hash_layout(), magic=magic), CONTAINER, is_code) is None


@pytest.mark.parametrize("table", [0, NOWHERE, CONTAINER, (1 << 64) - 8])
def test_a_table_of_functions_that_is_none_is_refused(table: int) -> None:
    assert read_container(memory(*hash_layout(), table=table), CONTAINER, is_code) is None


def test_a_table_of_functions_that_breaks_off_is_refused() -> None:
    refused = memory(*hash_layout())
    refused.pieces[TABLE] = refused.pieces[TABLE][:56]
    assert read_container(refused, CONTAINER, is_code) is None


@pytest.mark.parametrize("function", [0, NOWHERE, TABLE, (1 << 64) - 1])
def test_a_hash_function_that_is_no_code_is_refused(function: int) -> None:
    assert read_container(memory(*hash_layout(7, function)), CONTAINER, is_code) is None


@pytest.mark.parametrize("elements", [0, 5])
@pytest.mark.parametrize("root", [NOWHERE, (1 << 64) - 8, NODES])
def test_a_root_that_is_nowhere_or_of_another_container_is_refused(
    root: int, elements: int
) -> None:
    refused = memory(root, NOWHERE, elements=elements)
    refused.pieces[NODES] = words(0xABC0, CONTAINER + 0x100, 0, 0)
    assert read_container(refused, CONTAINER, is_code) is None


def test_a_tree_with_elements_has_a_root() -> None:
    assert read_container(memory(0, 0, elements=1), CONTAINER, is_code) is None


@pytest.mark.parametrize("length", [0, 31, 32, 47, 51])
def test_memory_that_breaks_off_before_the_count_of_buckets_is_refused(length: int) -> None:
    assert read_container(memory(*hash_layout(), length=length), CONTAINER, is_code) is None


def test_the_count_of_buckets_is_all_that_needs_to_be_there() -> None:
    found = read_container(memory(*hash_layout(), length=52), CONTAINER, is_code)
    assert found == state_of(RELEASE, 7, HASH)


def test_nothing_is_read_from_addresses_where_nothing_is() -> None:
    assert read_container(Memory({}), CONTAINER, is_code) is None


# What leads somewhere: pointers to what is there and to what is not, and counts at the limits.
WORDS = st.sampled_from(
    [
        *(0, 1, TABLE, NODES, NODES + 32, CONTAINER, CONTAINER - 8, DESTROY, HASH, NOWHERE),
        *(1 << 24, 1 << 30, 1 << 31, 1 << 47, 1 << 63, (1 << 64) - 1, two(9, 9), two(0, 1 << 30)),
    ]
) | st.integers(0, (1 << 64) - 1)


@given(
    st.sampled_from([MAGIC, MAGIC_OF_13]) | st.integers(0, (1 << 32) - 1),
    st.lists(WORDS, max_size=14).map(lambda values: words(*values)),
    st.lists(WORDS, max_size=9).map(lambda values: words(*values)),
    st.lists(WORDS, max_size=8).map(lambda values: words(*values)),
)
def test_random_memory_is_refused_or_plausible_and_little_of_it_is_read(
    magic: int, container: bytes, table: bytes, nodes: bytes
) -> None:
    random = Memory(
        {CONTAINER - 4: magic.to_bytes(4, "little") + container, TABLE: table, NODES: nodes}
    )
    found = read_container(random, CONTAINER, is_code)
    assert len(random.lengths) <= 10 and max(random.lengths) <= 64
    if found is not None:
        assert 0 <= found.elements < 1 << 30
        assert found.buckets is None or 0 < found.buckets < 1 << 24
        assert (found.hash_function is not None) == (found.layout.kind is Kind.HASH)


BUCKETS_AT = CONTAINER + 56


def chained(chains: list[list[tuple[int, int]]]) -> Memory:
    """Lay out chains of (object, container) nodes in buckets of a release build."""
    pieces: dict[int, bytes] = {}
    addresses = count(NODES, 32)
    heads = []
    for chain in chains:
        places = [next(addresses) for _ in chain] + [0]
        heads += [places[0], places[-2] if chain else 0]
        for place, following, (held, owner) in zip(places, places[1:], chain, strict=False):
            pieces[place] = words(held, owner, 1, following)
    return Memory({BUCKETS_AT: words(*heads), **pieces})


def lengths_of(
    pieces: Memory, buckets: int | None, **changes: object
) -> tuple[tuple[int, int], ...]:
    state = replace(state_of(RELEASE, buckets, HASH), **changes)  # type: ignore[arg-type]
    return read_chain_lengths(pieces, CONTAINER, state)


OURS = (0xABC0, CONTAINER)
EMPTIED = (0, CONTAINER)
FOREIGN = (0xABC0, CONTAINER + 0x100)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=20))
def test_chains_are_as_long_as_they_are(lengths: list[int]) -> None:
    pieces = chained([[OURS] * length for length in lengths])
    assert lengths_of(pieces, len(lengths)) == tuple(sorted(Counter(lengths).items()))
    assert len(pieces.lengths) == 1 + sum(lengths)


def test_emptied_nodes_are_passed_but_not_counted() -> None:
    pieces = chained([[OURS, EMPTIED, OURS], [EMPTIED], []])
    assert lengths_of(pieces, 3) == ((0, 2), (2, 1))


def test_a_chain_ends_where_it_leaves_the_container() -> None:
    pieces = chained([[OURS, FOREIGN, OURS, OURS], [FOREIGN], [OURS]])
    assert lengths_of(pieces, 3) == ((0, 1), (1, 2))


@pytest.mark.parametrize("next_node", [NOWHERE, 1, (1 << 64) - 8])
def test_a_chain_ends_where_memory_does(next_node: int) -> None:
    pieces = chained([[OURS], [OURS, OURS]])
    pieces.pieces[NODES] = words(*OURS, 1, next_node)
    assert lengths_of(pieces, 2) == ((1, 1), (2, 1))


def test_buckets_of_debug_builds_are_wider() -> None:
    pieces = Memory(
        {
            CONTAINER + 64: words(NODES, NODES, 1, 0, 0, 0, NODES + 32, NODES + 32, 1),
            NODES: words(*OURS, 1, 0),
            NODES + 32: words(*OURS, 1, NODES),
        }
    )
    assert lengths_of(pieces, 3, layout=DEBUG) == ((0, 1), (1, 1), (2, 1))


def test_buckets_that_cannot_be_read_have_no_lengths() -> None:
    pieces = chained([[OURS], [OURS]])
    assert lengths_of(pieces, 2) == ((1, 2),)
    assert lengths_of(pieces, 3) == ()


def test_trees_have_no_chains() -> None:
    pieces = chained([[OURS]])
    assert lengths_of(pieces, 1, layout=Layout(Kind.RBTREE, 0, 0, 0, 40)) == ()
    assert lengths_of(pieces, None) == ()


def test_more_elements_or_buckets_than_may_be_read_are_not_begun_with() -> None:
    pieces = chained([[OURS]])
    assert lengths_of(pieces, 1, elements=500_000) == ((1, 1),)
    pieces.lengths.clear()
    assert lengths_of(pieces, 1, elements=500_001) == ()
    assert lengths_of(pieces, (1 << 20) + 1) == ()
    assert pieces.lengths == []


@pytest.fixture
def few_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_NODES", 100)


@pytest.mark.parametrize("back_to", [0, 1, 2])
@pytest.mark.usefixtures("few_nodes")
def test_a_chain_that_runs_in_a_circle_is_given_up(back_to: int) -> None:
    pieces = chained([[OURS, OURS, OURS], [OURS]])
    pieces.pieces[NODES + 64] = words(*OURS, 1, NODES + 32 * back_to)
    assert lengths_of(pieces, 2) == ()
    assert 90 < len(pieces.lengths) <= 1 + 100 + 2


@pytest.mark.usefixtures("few_nodes")
def test_all_nodes_that_may_be_visited_are() -> None:
    pieces = chained([[OURS] * 102, []])
    assert lengths_of(pieces, 2) == ((0, 1), (102, 1))
    pieces = chained([[OURS] * 103, []])
    assert lengths_of(pieces, 2) == ()


def test_who_takes_longer_than_a_second_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = chained([[OURS] * 5])
    for seconds_each, expected in ((0.2, ((5, 1),)), (0.3, ())):
        clock: Iterator[float] = count(0.0, seconds_each)
        monkeypatch.setattr(time, "monotonic", lambda clock=clock: next(clock))
        assert lengths_of(pieces, 1) == expected


NODE_WORDS = st.sampled_from([0, CONTAINER, *range(NODES, NODES + 256, 32), NODES + 8, NOWHERE])


@given(
    st.lists(NODE_WORDS, min_size=6, max_size=12).map(lambda values: words(*values)),
    st.lists(NODE_WORDS | WORDS, max_size=32).map(lambda values: words(*values)),
)
def test_random_chains_are_read_within_bounds(buckets: bytes, nodes: bytes) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(containers, "MAX_NODES", 100)
        pieces = Memory({BUCKETS_AT: buckets, NODES: nodes})
        found = lengths_of(pieces, 3)
    assert len(pieces.lengths) <= 1 + 100 + 3
    assert found == () or sum(number for _, number in found) == 3
    assert list(found) == sorted(found)
