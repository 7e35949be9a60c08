"""What the kernel says of itself (BTF): ids of its functions, places of members in its structures.

Format: Documentation/bpf/btf.rst (Linux 6.18).
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from profiler import disk_cache

_MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_MEMBER = struct.Struct("<III")  # struct btf_member: name, type, offset in bits
_KIND_STRUCT, _KIND_UNION, _KIND_FUNC = 4, 5, 12
_MAX_TYPES = 4_000_000
_MAX_DEPTH = 8  # of members without a name
_OFFSET_MASK = 0xFFFFFF  # above it the size of a bit field, where the structure has such

# Bytes that follow the common 12 of each kind, and bytes for each of its `vlen` members.
_EXTRA_BYTES = {1: 4, 3: 12, 14: 4, 17: 4}  # INT, ARRAY, VAR, DECL_TAG
_MEMBER_BYTES = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
# STRUCT, UNION, ENUM, FUNC_PROTO, DATASEC, ENUM64


class _Types:
    """All types of some BTF data; none of what is no BTF."""

    def __init__(self, btf: bytes) -> None:
        self._btf = btf
        self._at = self._end = 0
        self._strings = b""
        if len(btf) < _HEADER.size:
            return
        fields = _HEADER.unpack_from(btf)
        magic, _, _, header, types_at, types_bytes, strings_at, strings_bytes = fields
        if magic == _MAGIC:
            self._at = header + types_at
            self._end = min(self._at + types_bytes, len(btf) - _TYPE.size + 1)
            self._strings = btf[header + strings_at : header + strings_at + strings_bytes]

    def name_at(self, name: str) -> int:
        """Return the place by which types know a name; 0 where none has it."""
        return self._strings.find(b"\0" + name.encode() + b"\0") + 1

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        """Yield place, name and kind of each type in the order of their ids, the first is 1."""
        btf, at, end = self._btf, self._at, self._end
        for _ in range(_MAX_TYPES):
            if at >= end:
                return
            name_at, information, _ = _TYPE.unpack_from(btf, at)
            kind = information >> 24 & 31
            yield at, name_at, kind
            at += _TYPE.size + _EXTRA_BYTES.get(kind, 0)
            if kind in _MEMBER_BYTES:
                at += (information & 0xFFFF) * _MEMBER_BYTES[kind]

    def members(self, at: int) -> Iterator[tuple[int, int, int]]:
        """Yield name, type and offset in bytes of each member of the structure at that place."""
        _, information, _ = _TYPE.unpack_from(self._btf, at)
        if information >> 24 & 31 not in (_KIND_STRUCT, _KIND_UNION):
            return
        for index in range(information & 0xFFFF):
            member_at = at + _TYPE.size + index * _MEMBER.size
            if member_at + _MEMBER.size > len(self._btf):
                return
            name_at, type_id, bits = _MEMBER.unpack_from(self._btf, member_at)
            if information >> 31:
                bits &= _OFFSET_MASK
            yield name_at, type_id, bits // 8


def parse_function_ids(btf: bytes, names: frozenset[str]) -> dict[str, int]:
    """Return the type id of each named function that the BTF data has; others are left out."""
    types = _Types(btf)
    wanted = {types.name_at(name): name for name in names}
    wanted.pop(0, None)
    found: dict[str, int] = {}
    for type_id, (_, name_at, kind) in enumerate(types, 1):
        if kind == _KIND_FUNC and name_at in wanted:
            found[wanted[name_at]] = type_id
            if len(found) == len(wanted):
                break
    return found


def parse_offsets(btf: bytes, structure: str, paths: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return where members lie in a structure, in bytes; None unless the BTF data has all of them.

    A path leads through structures in it: "se.sum_exec_runtime". Members of nameless ones are
    found as C finds them.
    """
    types = _Types(btf)
    places = array("Q", (0,))
    root = 0
    wanted = types.name_at(structure)
    for at, name_at, kind in types:
        places.append(at)
        if kind == _KIND_STRUCT and wanted and name_at == wanted:
            root = at
    if not root:
        return None
    offsets = [_offset(types, places, root, path.split(".")) for path in paths]
    known = tuple(offset for offset in offsets if offset is not None)
    return known if len(known) == len(paths) else None


def _offset(types: _Types, places: array[int], at: int, path: list[str]) -> int | None:
    whole = 0
    for name in path:
        member = _member(types, places, at, types.name_at(name), _MAX_DEPTH)
        if member is None:
            return None
        offset, at = member
        whole += offset
    return whole


def _member(
    types: _Types, places: array[int], at: int, name_at: int, depth: int
) -> tuple[int, int] | None:
    """Return the offset of a member, and where its type is."""
    for found_name_at, type_id, offset in types.members(at) if name_at and depth else ():
        if type_id >= len(places):
            return None
        if found_name_at == name_at:
            return offset, places[type_id]
        if not found_name_at:
            inner = _member(types, places, places[type_id], name_at, depth - 1)
            if inner is not None:
                return offset + inner[0], inner[1]
    return None


def _kernel_btf() -> bytes:
    try:
        return Path("/sys/kernel/btf/vmlinux").read_bytes()
    except OSError:
        return b""


@lru_cache(maxsize=16)
def function_ids(names: frozenset[str]) -> dict[str, int]:
    """Return ids of the running kernel's functions; {} for a kernel without BTF."""
    return disk_cache.for_this_boot(
        f"functions {sorted(names)}", lambda: parse_function_ids(_kernel_btf(), names)
    )


@lru_cache(maxsize=16)
def offsets(structure: str, paths: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return places of members in the running kernel; None where BTF does not have all of them."""
    found = disk_cache.for_this_boot(
        f"offsets {structure} {paths}", lambda: parse_offsets(_kernel_btf(), structure, paths)
    )
    return tuple(found) if found else None
