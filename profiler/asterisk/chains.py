"""Chain lengths of a hash container, read from the target's memory without stopping it.

The container may change meanwhile; a chain that leaves it is dropped, and everything is bounded.
Layout of nodes: struct hash_bucket_node, main/astobj2_hash.c, Asterisk 12 to 23.
"""

from __future__ import annotations

import struct
import time
from collections import Counter

from profiler.model.observed import ContainerState
from profiler.process.memory import TargetMemory
from profiler.wire.lookups import Kind

MAX_NODES = 500_000
MAX_SECONDS = 1.0
NODE = struct.Struct("<QQQQ")  # obj, my_container, is_linked, next


def read_chain_lengths(
    memory: TargetMemory, address: int, state: ContainerState
) -> tuple[tuple[int, int], ...]:
    """Return (length, number of buckets of that length), ascending; () when it cannot be read.

    Emptied nodes, which no lookup compares, are not counted.
    """
    if state.layout.kind is not Kind.HASH or state.buckets is None:
        return ()
    layout = state.layout
    size = layout.bucket_bytes * state.buckets
    raw = memory.read(address + layout.buckets_offset, size)
    if raw is None or state.elements > MAX_NODES:
        return ()
    standing = {
        bucket: int.from_bytes(raw[at : at + 8], "little")
        for bucket, at in enumerate(range(0, size, layout.bucket_bytes))
    }
    lengths = [0] * state.buckets
    deadline = time.monotonic() + MAX_SECONDS
    visited = 0
    standing = {bucket: node for bucket, node in standing.items() if node}
    while standing:
        visited += len(standing)
        if visited > MAX_NODES + state.buckets or time.monotonic() > deadline:
            return ()
        nodes = memory.read_many(list(standing.values()), NODE.size)
        following = {}
        for bucket, data in zip(standing, nodes, strict=True):
            if data is None:
                continue
            held, container, _, next_node = NODE.unpack(data)
            if container != address:
                continue
            lengths[bucket] += held != 0
            if next_node:
                following[bucket] = next_node
        standing = following
    return tuple(sorted(Counter(lengths).items()))
