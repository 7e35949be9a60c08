"""Reads ao2 containers out of the target's memory: what kind they are, how full, how long chains.

Nothing here is decided by a version number: a layout is taken when the magic number, the pointers
and the counts in memory fit it. Read-only, by process_vm_readv(2), which neither stops the target
nor needs it to be stopped. So a container may change meanwhile: a chain that leaves it ends there,
and everything is bounded. Layouts: main/astobj2_private.h, main/astobj2_container_private.h,
main/astobj2_hash.c and main/astobj2_rbtree.c, Asterisk 13 to 22; AO2_DEBUG builds have more fields.
"""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from profiler.asterisk.abi import MAGIC, MAGIC_OFFSET
from profiler.model.observed import ContainerState
from profiler.process.memory import TargetMemory
from profiler.wire.lookups import Kind, Layout

# Fewer than this many buckets are plausible; the largest in Asterisk are a few thousand.
_MAX_BUCKETS = 1 << 24
_MAX_ELEMENTS = 1 << 30
_HEAD = struct.Struct("<QQQIi")  # v_table, sort_fn, cmp_fn, options, elements
# (hash_fn, n_buckets, first bucket, bytes of a bucket) of release builds and of AO2_DEBUG builds.
_HASH_LAYOUTS = ((40, 48, 56, 16), (48, 56, 64, 24))
_ROOT_OFFSETS = (40, 48)
_NODE_CONTAINER_OFFSET = 8
_NODE = struct.Struct("<QQQQ")  # obj, my_container, is_linked, next: struct hash_bucket_node
MAX_NODES = 500_000
_MOST_CHAINS = 1 << 20
_MAX_SECONDS = 1.0

HEAD_BEFORE = -MAGIC_OFFSET  # where the bytes of a head begin, before the container's address
HEAD_BYTES = HEAD_BEFORE + _HEAD.size

IsCode = Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Head:
    """What all containers begin with; only the number of elements changes while one lives."""

    v_table: int
    sort_function: int | None
    comparator: int | None
    elements: int

    def is_of(self, state: ContainerState) -> bool:
        """Return whether a container may have had this head all the time."""
        mine = (self.v_table, self.sort_function, self.comparator)
        return mine == (state.v_table, state.sort_function, state.comparator)


def is_object(data: bytes) -> bool:
    """Return whether the bytes from an object's magic number on are those of a live one.

    Asterisk sets that number (28 bits, 30 in Asterisk 13) to 0 before it frees an object.
    """
    value = int.from_bytes(data[:4], "little")
    return MAGIC in (value >> 4, value >> 2)


def parse_head(data: bytes) -> Head | None:
    """Return the head in HEAD_BYTES from HEAD_BEFORE on; None where no live object is."""
    if not is_object(data):
        return None
    v_table, sort_function, comparator, _, elements = _HEAD.unpack(data[HEAD_BEFORE:])
    return Head(v_table, sort_function or None, comparator or None, elements)


def read_container(memory: TargetMemory, address: int, is_code: IsCode) -> ContainerState | None:
    """Return the container at `address`, None when nothing there fits any known layout."""
    data = memory.read(address - HEAD_BEFORE, HEAD_BYTES)
    head = parse_head(data) if data is not None else None
    if head is None or not 0 <= head.elements < _MAX_ELEMENTS:
        return None
    functions = memory.read(head.v_table, 64)
    if functions is None:
        return None
    if not is_code(struct.unpack_from("<Q", functions, 0)[0]):
        return None
    found = _read_hash(memory, address, is_code) or _read_rbtree(memory, address, head.elements)
    if found is None:
        return None
    layout, buckets, hash_function = found
    return ContainerState(
        head.v_table,
        head.sort_function,
        head.comparator,
        hash_function,
        head.elements,
        buckets,
        layout,
    )


def _read_hash(
    memory: TargetMemory, address: int, is_code: IsCode
) -> tuple[Layout, int, int | None] | None:
    for hash_at, count_at, buckets_at, bucket_bytes in _HASH_LAYOUTS:
        fields = memory.read(address + hash_at, 12)
        if fields is None:
            continue
        hash_function, buckets = struct.unpack("<Qi", fields)
        if is_code(hash_function) and 0 < buckets < _MAX_BUCKETS:
            layout = Layout(Kind.HASH, buckets_at, bucket_bytes, count_at)
            return layout, buckets, hash_function
    return None


def _read_rbtree(
    memory: TargetMemory, address: int, elements: int
) -> tuple[Layout, None, None] | None:
    for root_at in _ROOT_OFFSETS:
        root = _read_pointer(memory, address + root_at)
        if root and _read_pointer(memory, root + _NODE_CONTAINER_OFFSET) == address:
            return Layout(Kind.RBTREE, 0, 0, 0, root_at), None, None
    if elements == 0 and _read_pointer(memory, address + _ROOT_OFFSETS[0]) == 0:
        # Of an empty tree, nothing says where its root would be.
        return Layout(Kind.RBTREE, 0, 0, 0, 0), None, None
    return None


def _read_pointer(memory: TargetMemory, address: int) -> int | None:
    data = memory.read(address, 8)
    return None if data is None else int.from_bytes(data, "little")


def read_chain_lengths(
    memory: TargetMemory, address: int, state: ContainerState
) -> tuple[tuple[int, int], ...]:
    """Return (length, number of buckets of that length), ascending; () when it cannot be read.

    Emptied nodes, which no lookup compares, are not counted.
    """
    layout, buckets = state.layout, state.buckets
    if layout.kind is not Kind.HASH or buckets is None:
        return ()
    if buckets > _MOST_CHAINS or state.elements > MAX_NODES:
        return ()
    raw = memory.read(address + layout.buckets_offset, layout.bucket_bytes * buckets)
    if raw is None:
        return ()
    heads = range(0, len(raw), layout.bucket_bytes)
    nodes_at = (int.from_bytes(raw[at : at + 8], "little") for at in heads)
    standing = {bucket: node for bucket, node in enumerate(nodes_at) if node}
    lengths = [0] * buckets
    deadline = time.monotonic() + _MAX_SECONDS
    visited = 0
    while standing:
        visited += len(standing)
        if visited > MAX_NODES + buckets or time.monotonic() > deadline:
            return ()
        nodes = memory.read_many(list(standing.values()), _NODE.size)
        following = {}
        for bucket, data in zip(standing, nodes, strict=True):
            if data is None:
                continue
            held, container, _, next_node = _NODE.unpack(data)
            if container != address:
                continue
            lengths[bucket] += held != 0
            if next_node:
                following[bucket] = next_node
        standing = following
    return tuple(sorted(Counter(lengths).items()))
