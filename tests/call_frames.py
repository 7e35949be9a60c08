"""Builds `.eh_frame` contents for tests, byte by byte."""

from __future__ import annotations

import struct

from profiler.binary.call_frames import CallFrameSection

ADDRESS = 0x10000  # of the built sections
USUAL_INIT = bytes((0x0C, 7, 8, 0x90, 1))  # def_cfa rsp 8; offset rip 1
OFFSET_16 = bytes((0x41, 0x0E, 16))  # advance 1, def_cfa_offset 16


def uleb(value: int) -> bytes:
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*parts, value))


def sleb(value: int) -> bytes:
    parts = []
    while not -64 <= value < 64:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*parts, value & 0x7F))


class Section:
    """Collects entries; `cie` returns the place that `fde` refers to."""

    def __init__(self) -> None:
        self.data = b""

    def built(self, ends_at_zero: bool = False) -> CallFrameSection:
        return CallFrameSection(self.data, ADDRESS, ends_at_zero)

    def cie(
        self,
        augmentation: bytes = b"zR",
        values: bytes = b"\x1b",
        init: bytes = USUAL_INIT,
        version: int = 1,
        data_align: int = -8,
        return_register: int = 16,
    ) -> int:
        place = len(self.data)
        body = bytes((version,)) + augmentation + b"\0"
        body += uleb(1) + sleb(data_align) + uleb(return_register)
        body += uleb(len(values)) + values if augmentation[:1] == b"z" else b""
        self._add(bytes(4) + body + init)
        return place

    def fde(self, cie: int, start: int, size: int, program: bytes = b"") -> None:
        """One with pcrel sdata4 addresses and empty augmentation data."""
        at = len(self.data) + 8
        self.raw_fde(cie, struct.pack("<iI", start - ADDRESS - at, size) + b"\0" + program)

    def raw_fde(self, cie: int, body: bytes) -> None:
        self._add(struct.pack("<I", len(self.data) + 4 - cie) + body)

    def terminator(self) -> None:
        self.data += bytes(4)

    def _add(self, contents: bytes) -> None:
        contents += bytes(-len(contents) % 8)
        self.data += struct.pack("<I", len(contents)) + contents
