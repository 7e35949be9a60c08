"""What identifies an ELF file and its separate debug file: build id note and debug link.

Sources: gABI chapter 5 "Note Section" (entries of PT_NOTE segments that are aligned to 8 bytes are
padded to 8); gdb manual, "Debugging Information in Separate Files".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

NT_GNU_BUILD_ID = 3
MAX_NOTES = 256
MAX_BUILD_ID_BYTES = 64  # linkers write 16 or 20

_NOTE = struct.Struct("<III")


@dataclass(frozen=True, slots=True)
class DebugLink:
    """`.gnu_debuglink`: base name of the separate debug file and the CRC-32 of its contents."""

    name: str
    crc: int


def parse_build_id(notes: bytes, align: int) -> str | None:
    """Return the GNU build id among notes in hexadecimal, None without one."""
    for kind, owner, contents in _notes(notes, align):
        if kind == NT_GNU_BUILD_ID and owner == b"GNU\0" and contents:
            return contents.hex() if len(contents) <= MAX_BUILD_ID_BYTES else None
    return None


def parse_debuglink(data: bytes) -> DebugLink | None:
    """Return what the section says; None when it is cut off, or names another directory."""
    end = data.find(b"\0")
    crc_at = (end + 4) // 4 * 4
    if end <= 0 or crc_at + 4 > len(data):
        return None
    name = data[:end].decode("utf-8", "surrogateescape")
    if "/" in name or name in (".", ".."):
        return None
    return DebugLink(name, int(struct.unpack_from("<I", data, crc_at)[0]))


def _notes(data: bytes, align: int) -> Iterator[tuple[int, bytes, bytes]]:
    """Yield (type, owner, contents)."""
    step = 8 if align == 8 else 4
    position = 0
    for _ in range(MAX_NOTES):
        if position + _NOTE.size > len(data):
            return
        owner_bytes, content_bytes, kind = _NOTE.unpack_from(data, position)
        owner_at = position + _NOTE.size
        content_at = (owner_at + owner_bytes + step - 1) // step * step
        end = content_at + content_bytes
        if end > len(data):
            return
        yield kind, data[owner_at : owner_at + owner_bytes], data[content_at:end]
        position = (end + step - 1) // step * step
