"""Finds all task processors of a target: they are in one container, tps_singletons.

ast_tps_init() makes it, and stores it in a variable (main/taskprocessor.c). It is walked from
outside, while it may change: everything is bounded.
"""

from __future__ import annotations

import struct
import time

from profiler.asterisk.containers import IsCode, read_container
from profiler.binary.code_image import CodeImage
from profiler.binary.instructions import RAX, Flow
from profiler.process.memory import TargetMemory
from profiler.wire.lookups import Kind

_NODE = struct.Struct("<QQQQ")  # obj, my_container, is_linked, next: struct hash_bucket_node
_MOST_BUCKETS = 1 << 16
_MOST_NODES = 200_000
_ALLOCATORS = ("__ao2_container_alloc_hash", "__ao2_container_alloc")


def container_variable(image: CodeImage) -> int | None:
    """Return the address, inside the file, of the variable that points to the container."""
    start = image.exported("ast_tps_init")
    function = image.function(start) if start is not None else None
    code = image.instructions(function) if function is not None else None
    makers = {image.exported(name) for name in _ALLOCATORS} - {None}
    is_made = False
    for instruction in code or ():
        if instruction.flow is Flow.CALL and instruction.target is not None:
            is_made = image.destination(instruction.target) in makers
        elif is_made and instruction.mnemonic == "mov" and instruction.second == RAX:
            memory = instruction.memory
            if memory is not None and memory.address is not None:
                return memory.address
    return None


def task_processors(
    memory: TargetMemory, variable: int, is_code: IsCode, most_ns: int
) -> tuple[int, tuple[int, ...]]:
    """Return how many task processors there are, and the addresses that were found in time."""
    pointer = memory.read(variable, 8)
    address = int.from_bytes(pointer, "little") if pointer else 0
    state = read_container(memory, address, is_code) if address else None
    if state is None or state.layout.kind is not Kind.HASH or not state.buckets:
        return 0, ()
    if state.buckets > _MOST_BUCKETS:
        return state.elements, ()
    layout = state.layout
    raw = memory.read(address + layout.buckets_offset, layout.bucket_bytes * state.buckets)
    starts = range(0, len(raw), layout.bucket_bytes) if raw else ()
    heads = [int.from_bytes(raw[at : at + 8], "little") for at in starts] if raw else []
    return state.elements, _walk(memory, address, heads, time.monotonic_ns() + most_ns)


def _walk(memory: TargetMemory, container: int, heads: list[int], until_ns: int) -> tuple[int, ...]:
    """Follow all chains at once; what is no node of the container ends its chain."""
    found: list[int] = []
    standing = [head for head in heads if head]
    while standing and len(found) < _MOST_NODES and time.monotonic_ns() < until_ns:
        following = []
        for data in memory.read_many(standing, _NODE.size):
            if data is None:
                continue
            held, owner, _, next_node = _NODE.unpack(data)
            if owner != container:
                continue
            if held:
                found.append(held)
            if next_node:
                following.append(next_node)
        standing = following
    return tuple(found)
