"""Ids of kernel functions from the kernel's own type information (BTF).

Format: Documentation/bpf/btf.rst (Linux 6.18).
"""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path

_MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_KIND_FUNC = 12
_MAX_TYPES = 4_000_000

# Bytes that follow the common 12 of each kind, and bytes for each of its `vlen` members.
_EXTRA_BYTES = {1: 4, 3: 12, 14: 4, 17: 4}  # INT, ARRAY, VAR, DECL_TAG
_MEMBER_BYTES = {4: 12, 5: 12, 6: 8, 13: 8, 15: 12, 19: 12}
# STRUCT, UNION, ENUM, FUNC_PROTO, DATASEC, ENUM64


def parse_function_ids(btf: bytes, names: frozenset[str]) -> dict[str, int]:
    """Return the type id of each named function that the BTF data has; others are left out."""
    if len(btf) < _HEADER.size:
        return {}
    magic, _, _, header, types_at, types_bytes, strings_at, strings_bytes = _HEADER.unpack_from(btf)
    if magic != _MAGIC:
        return {}
    strings = btf[header + strings_at : header + strings_at + strings_bytes]
    wanted = {
        at + 1: name for name in names if (at := strings.find(b"\0" + name.encode() + b"\0")) >= 0
    }
    found: dict[str, int] = {}
    at, end = header + types_at, min(header + types_at + types_bytes, len(btf) - _TYPE.size + 1)
    for type_id in range(1, _MAX_TYPES):
        if at >= end or len(found) == len(wanted):
            break
        name_at, information, _ = _TYPE.unpack_from(btf, at)
        kind, members = information >> 24 & 31, information & 0xFFFF
        if kind == _KIND_FUNC and name_at in wanted:
            found[wanted[name_at]] = type_id
        at += _TYPE.size + _EXTRA_BYTES.get(kind, 0) + members * _MEMBER_BYTES.get(kind, 0)
    return found


@lru_cache(maxsize=16)
def function_ids(names: frozenset[str]) -> dict[str, int]:
    """Return ids of the running kernel's functions; {} for a kernel without BTF."""
    try:
        return parse_function_ids(Path("/sys/kernel/btf/vmlinux").read_bytes(), names)
    except OSError:
        return {}
