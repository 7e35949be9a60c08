"""Reads ao2 containers out of the target's memory: what kind they are and how full.

Nothing here is decided by a version number: a layout is taken when the magic number, the pointers
and the counts in memory fit it. Read-only, by process_vm_readv(2), which neither stops the target
nor needs it to be stopped. Layouts: main/astobj2_private.h, main/astobj2_container_private.h,
main/astobj2_hash.c and main/astobj2_rbtree.c, Asterisk 13 to 22; AO2_DEBUG builds have more fields.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass

from profiler.asterisk.abi import MAGIC, MAGIC_OFFSET
from profiler.libc import LIBC
from profiler.wire.lookups import Kind, Layout

# Fewer than this many buckets are plausible; the largest in Asterisk are a few thousand.
_MAX_BUCKETS = 1 << 24
_MAX_ELEMENTS = 1 << 30
_HEAD = struct.Struct("<QQQIi")  # v_table, sort_fn, cmp_fn, options, elements
# (hash_fn, n_buckets, first bucket, bytes of a bucket) of release builds and of AO2_DEBUG builds.
_HASH_LAYOUTS = ((40, 48, 56, 16), (48, 56, 64, 24))
_ROOT_OFFSETS = (40, 48)
_NODE_CONTAINER_OFFSET = 8

IsCode = Callable[[int], bool]


class TargetMemory:
    """Reads the target's memory; None where it cannot be read."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def read(self, address: int, length: int) -> bytes | None:
        """Return `length` bytes at `address`, None unless all of them can be read."""
        if address <= 0 or address >> 47:
            return None
        buffer = ctypes.create_string_buffer(length)
        local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), length)
        remote = (ctypes.c_uint64 * 2)(address, length)
        count = LIBC.process_vm_readv(
            self._pid, local, ctypes.c_ulong(1), remote, ctypes.c_ulong(1), ctypes.c_ulong(0)
        )
        return buffer.raw if count == length else None

    def read_many(self, addresses: list[int], length: int) -> list[bytes | None]:
        """Return `length` bytes at each address; few system calls when all can be read."""
        if any(address <= 0 or address >> 47 for address in addresses):
            return [self.read(address, length) for address in addresses]
        found: list[bytes | None] = []
        step = os.sysconf("SC_IOV_MAX") if hasattr(os, "sysconf") else 1024
        for at in range(0, len(addresses), step):
            part = addresses[at : at + step]
            buffer = ctypes.create_string_buffer(length * len(part))
            local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), length * len(part))
            remote = (ctypes.c_uint64 * (2 * len(part)))()
            for index, address in enumerate(part):
                remote[2 * index], remote[2 * index + 1] = address, length
            count = LIBC.process_vm_readv(
                self._pid,
                local,
                ctypes.c_ulong(1),
                remote,
                ctypes.c_ulong(len(part)),
                ctypes.c_ulong(0),
            )
            if count == length * len(part):
                raw = buffer.raw
                found += [raw[length * i : length * (i + 1)] for i in range(len(part))]
            else:
                found += [self.read(address, length) for address in part]
        return found

    def text(self, address: int, limit: int = 256) -> str | None:
        """Return the C string at `address`, cut at `limit` bytes; None when unreadable."""
        collected = b""
        while len(collected) < limit:
            at = address + len(collected)
            length = min(64 - at % 64, limit - len(collected))  # never across a page
            part = self.read(at, length)
            if part is None:
                return None
            end = part.find(b"\0")
            if end >= 0:
                return (collected + part[:end]).decode(errors="replace")
            collected += part
        return collected.decode(errors="replace")


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container as it was when it was read. `buckets` is None for a red-black tree."""

    v_table: int
    sort_function: int | None
    comparator: int | None
    hash_function: int | None
    elements: int
    buckets: int | None
    layout: Layout


def _is_live(memory: TargetMemory, address: int) -> bool:
    """Tell by its magic number (28 bits, 30 in Asterisk 13) whether an object is there."""
    word = memory.read(address + MAGIC_OFFSET, 4)
    if word is None:
        return False
    value = int.from_bytes(word, "little")
    return MAGIC in (value >> 4, value >> 2)


def read_container(memory: TargetMemory, address: int, is_code: IsCode) -> ContainerState | None:
    """Return the container at `address`, None when nothing there fits any known layout."""
    head = memory.read(address, _HEAD.size)
    if head is None or not _is_live(memory, address):
        return None
    v_table, sort_function, comparator, _, elements = _HEAD.unpack(head)
    functions = memory.read(v_table, 64)
    if functions is None or not 0 <= elements < _MAX_ELEMENTS:
        return None
    if not is_code(struct.unpack_from("<Q", functions, 0)[0]):
        return None
    found = _read_hash(memory, address, is_code) or _read_rbtree(memory, address, elements)
    if found is None:
        return None
    layout, buckets, hash_function = found
    return ContainerState(
        v_table,
        sort_function or None,
        comparator or None,
        hash_function,
        elements,
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
        # Of an empty tree, nothing tells where its root would be.
        return Layout(Kind.RBTREE, 0, 0, 0, 0), None, None
    return None


def _read_pointer(memory: TargetMemory, address: int) -> int | None:
    data = memory.read(address, 8)
    return None if data is None else int.from_bytes(data, "little")
