"""Unwind tables kept between runs: a file's call frame information compiles to the same table."""

from __future__ import annotations

import struct
from array import array

from profiler import disk_cache
from profiler.binary.call_frames import CallFrameSection
from profiler.binary.functions import frames_key
from profiler.unwind import machine, rules, table
from profiler.unwind.table import UnwindTable, compile_table
from profiler.wire import unwind

_CODE = disk_cache.digest_of_code(*(str(m.__file__) for m in (machine, rules, table, unwind)))
_HEAD = struct.Struct("<QIII?")  # base, bytes of rows, blocks and rules, follows_bx


def cached_table(
    section: CallFrameSection,
    code_ranges: tuple[tuple[int, int], ...],
    ends_in_leaves: bool = False,
) -> UnwindTable:
    """Return what compile_table makes of the same, from the cache where it is known."""
    key = bytes([ends_in_leaves]) + _CODE + frames_key(section, code_ranges)
    known = disk_cache.read("table", key)
    if known is not None:
        return _decode(known)
    made = compile_table(section, code_ranges, ends_in_leaves)
    disk_cache.write("table", key, _encode(made))
    return made


def _encode(made: UnwindTable) -> bytes:
    parts = (made.rows.tobytes(), made.blocks.tobytes(), made.rules)
    return _HEAD.pack(made.base, *map(len, parts), made.follows_bx) + b"".join(parts)


def _decode(data: bytes) -> UnwindTable:
    base, rows, blocks, wide, follows_bx = _HEAD.unpack_from(data)
    ends = (_HEAD.size, _HEAD.size + rows, _HEAD.size + rows + blocks)
    return UnwindTable(
        base,
        array("Q", data[ends[0] : ends[1]]),
        array("I", data[ends[1] : ends[2]]),
        data[ends[2] : ends[2] + wide],
        follows_bx,
    )
