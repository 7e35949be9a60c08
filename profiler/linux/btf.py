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


class Types:
    """All types of some BTF data; none of what is no BTF. Reading a kernel's took 0.06 s."""

    def __init__(self, btf: bytes) -> None:
        self._btf = btf
        self._strings = b""
        # Of each type by its id, of which the first is 1: its place, its name's, and its kind.
        self._places = array("Q", (0,))
        self._names = array("I", (0,))
        self._kinds = bytearray(1)
        if len(btf) < _HEADER.size:
            return
        fields = _HEADER.unpack_from(btf)
        magic, _, _, header, types_at, types_bytes, strings_at, strings_bytes = fields
        if magic == _MAGIC:
            self._strings = btf[header + strings_at : header + strings_at + strings_bytes]
            self._read(header + types_at, types_bytes)

    def _read(self, at: int, types_bytes: int) -> None:
        btf, end = self._btf, min(at + types_bytes, len(self._btf) - _TYPE.size + 1)
        for _ in range(_MAX_TYPES):
            if at >= end:
                return
            name_at, information, _ = _TYPE.unpack_from(btf, at)
            kind = information >> 24 & 31
            self._places.append(at)
            self._names.append(name_at)
            self._kinds.append(kind)
            at += _TYPE.size + _EXTRA_BYTES.get(kind, 0)
            if kind in _MEMBER_BYTES:
                at += (information & 0xFFFF) * _MEMBER_BYTES[kind]

    def function_ids(self, names: frozenset[str]) -> dict[str, int]:
        """Return the type id of each of these functions that is there; others are left out."""
        wanted = {self._name_at(name): name for name in names}
        wanted.pop(0, None)
        found: dict[str, int] = {}
        for type_id, (name_at, kind) in enumerate(zip(self._names, self._kinds, strict=True)):
            if kind == _KIND_FUNC and name_at in wanted:
                found.setdefault(wanted[name_at], type_id)
        return found

    def offsets(self, structure: str, paths: tuple[str, ...]) -> tuple[int, ...] | None:
        """Return where members lie in a structure, in bytes; None unless all of them are there.

        A path leads through structures in it: "se.sum_exec_runtime". Members of nameless ones are
        found as C finds them.
        """
        wanted = self._name_at(structure)
        root = 0
        types = zip(self._places, self._names, self._kinds, strict=True)
        for at, name_at, kind in types if wanted else ():
            if kind == _KIND_STRUCT and name_at == wanted:
                root = at
        if not root:
            return None
        offsets = [self._offset(root, path.split(".")) for path in paths]
        known = tuple(offset for offset in offsets if offset is not None)
        return known if len(known) == len(paths) else None

    def _name_at(self, name: str) -> int:
        """Return the place by which types know a name; 0 where none has it."""
        return self._strings.find(b"\0" + name.encode() + b"\0") + 1

    def _offset(self, at: int, path: list[str]) -> int | None:
        whole = 0
        for name in path:
            member = self._member(at, self._name_at(name), _MAX_DEPTH)
            if member is None:
                return None
            offset, at = member
            whole += offset
        return whole

    def _member(self, at: int, name_at: int, depth: int) -> tuple[int, int] | None:
        """Return the offset of a member, and where its type is."""
        for found_name_at, type_id, offset in self._members(at) if name_at and depth else ():
            if type_id >= len(self._places):
                return None
            if found_name_at == name_at:
                return offset, self._places[type_id]
            if not found_name_at:
                inner = self._member(self._places[type_id], name_at, depth - 1)
                if inner is not None:
                    return offset + inner[0], inner[1]
        return None

    def _members(self, at: int) -> Iterator[tuple[int, int, int]]:
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


@lru_cache(maxsize=1)
def _kernel_types() -> Types:
    """Return the running kernel's types, read once: many ask in the first run after a boot."""
    try:
        return Types(Path("/sys/kernel/btf/vmlinux").read_bytes())
    except OSError:
        return Types(b"")


@lru_cache(maxsize=16)
def function_ids(names: frozenset[str]) -> dict[str, int]:
    """Return ids of the running kernel's functions; {} for a kernel without BTF."""
    return disk_cache.for_this_boot(
        f"functions {sorted(names)}", lambda: _kernel_types().function_ids(names)
    )


@lru_cache(maxsize=16)
def offsets(structure: str, paths: tuple[str, ...]) -> tuple[int, ...] | None:
    """Return places of members in the running kernel; None where BTF does not have all of them."""
    found = disk_cache.for_this_boot(
        f"offsets {structure} {paths}", lambda: _kernel_types().offsets(structure, paths)
    )
    return tuple(found) if found else None
