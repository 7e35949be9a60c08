"""Unwind tables kept between runs: the same call frame information and code make the same table."""

from __future__ import annotations

import hashlib
import json
import struct
from array import array
from dataclasses import astuple
from pathlib import Path

from profiler import disk_cache
from profiler.binary import call_frames as call_frames_module
from profiler.binary.call_frames import Entry
from profiler.binary.elf import MAX_READ_BYTES, SHT_NOBITS, Elf, ElfError
from profiler.binary.functions import call_frames, frames_key
from profiler.binary.symtab import SHT_SYMTAB
from profiler.unwind import machine, rules, table
from profiler.unwind.ranges import merged
from profiler.unwind.table import UnwindTable, compile_table
from profiler.wire import unwind

# What is imported only where a table is made: it takes long.
_INFERS = ("undescribed.py", "function_trace.py", "frame_values.py")
_CODE = disk_cache.digest_of_code(
    *(str(module.__file__) for module in (machine, rules, table, unwind)),
    *(str(Path(__file__).with_name(name)) for name in _INFERS),
    str(Path(str(call_frames_module.__file__)).with_name("instructions.py")),
)
_HEAD = struct.Struct("<QIII??")  # base, bytes of rows, blocks and rules, follows_bx, is_inferred


def cached_table(elf: Elf) -> UnwindTable:
    """Return a file's table, from the cache where it is known."""
    section = call_frames(elf)
    key = _CODE + frames_key(section, elf.code_ranges) + _digest(elf)
    known = disk_cache.read("table", key)
    if known is not None:
        return _decode(known)

    def inferred(entries: list[Entry]) -> list[rules.Span]:
        from profiler.unwind.undescribed import inferred_rules

        try:
            return inferred_rules(elf, entries)
        except ElfError:  # in what the described code does not need
            return []

    made = compile_table(section, elf.code_ranges, inferred)
    disk_cache.write("table", key, _encode(made))
    return made


def _digest(elf: Elf) -> bytes:
    """Return a digest of all that rules are inferred from."""
    tables = [section for section in elf.sections if section.type == SHT_SYMTAB]
    names = {one.link for one in tables}
    tables += [one for index, one in enumerate(elf.sections) if index in names]
    parts = [(load.offset, load.offset + load.file_bytes) for load in elf.loads]
    parts += [(one.offset, one.offset + one.size) for one in tables if one.type != SHT_NOBITS]
    shapes = [
        (one.type, one.flags, one.address, one.offset, one.size, one.link) for one in elf.sections
    ]
    headers = (elf.entry, [astuple(one) for one in elf.segments], shapes)
    digest = hashlib.sha256(json.dumps(headers).encode())
    # What lies beyond the file's end cannot be read when rules are inferred, either.
    inside = ((start, min(end, elf.size)) for start, end in parts if start < elf.size)
    for start, end in merged(inside, MAX_READ_BYTES):
        digest.update(elf.read(start, end - start))
    return digest.digest()


def _encode(made: UnwindTable) -> bytes:
    parts = (made.rows.tobytes(), made.blocks.tobytes(), made.rules)
    head = _HEAD.pack(made.base, *map(len, parts), made.follows_bx, made.is_inferred)
    return head + b"".join(parts)


def _decode(data: bytes) -> UnwindTable:
    base, rows, blocks, wide, follows_bx, is_inferred = _HEAD.unpack_from(data)
    ends = (_HEAD.size, _HEAD.size + rows, _HEAD.size + rows + blocks)
    return UnwindTable(
        base,
        array("Q", data[ends[0] : ends[1]]),
        array("I", data[ends[1] : ends[2]]),
        data[ends[2] : ends[2] + wide],
        follows_bx,
        is_inferred,
    )
