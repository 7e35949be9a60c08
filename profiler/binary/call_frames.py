"""Reads call frame information, `.eh_frame`, into frame description entries.

Source: LSB Core 5.0 "Exception Frames". The bytes may be hostile: work and memory grow with the
section's size only. What the instructions of an entry mean is in unwind/rules.py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

MAX_SECTION_BYTES = 32 << 20  # the largest that we met is 8 MB (libclang-cpp)
MAX_CIE_BYTES = 4096  # usual ones have 20; a bound, because each of them is read anew

PE_ABSPTR, PE_UDATA2, PE_UDATA4, PE_UDATA8 = 0, 2, 3, 4
PE_SDATA2, PE_SDATA4, PE_SDATA8 = 10, 11, 12
PE_PCREL = 0x10
PCREL_SDATA4 = PE_PCREL | PE_SDATA4

_FIXED = {
    PE_ABSPTR: struct.Struct("<Q"),
    PE_UDATA2: struct.Struct("<H"),
    PE_UDATA4: struct.Struct("<I"),
    PE_UDATA8: struct.Struct("<Q"),
    PE_SDATA2: struct.Struct("<h"),
    PE_SDATA4: struct.Struct("<i"),
    PE_SDATA8: struct.Struct("<q"),
}
_HEAD = struct.Struct("<II")  # length, CIE pointer
_LONG = 0xFFFFFFFF  # in the place of a length: 64 bits with the length follow


class MalformedCallFramesError(ValueError):
    """The section breaks the format in a way that leaves the entries behind it unreadable."""


@dataclass(frozen=True, slots=True)
class Cie:
    """A common information entry: what its frame description entries share."""

    code_align: int
    data_align: int
    return_register: int
    encoding: int  # of addresses (DW_EH_PE_*)
    augmented: bool  # its entries carry augmentation data
    program: bytes


@dataclass(frozen=True, slots=True)
class CallFrameSection:
    """Contents of `.eh_frame` and its virtual address.

    `ends_at_zero`: the end of the contents is not the section's, so that a zero length ends it.
    """

    data: bytes
    address: int
    ends_at_zero: bool = False


# (start, end, cie, program): code in [start, end); cie is None when it cannot be read.
Entry = tuple[int, int, Cie | None, bytes]


def read_uleb(data: bytes, at: int) -> tuple[int, int]:
    """Return (value, next offset) of an unsigned LEB128 number; IndexError beyond the end."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError("a LEB128 number of more than 64 bits")


def read_sleb(data: bytes, at: int) -> tuple[int, int]:
    """Return (value, next offset) of a signed LEB128 number; IndexError beyond the end."""
    start = at
    value, at = read_uleb(data, at)
    if data[at - 1] & 0x40:
        value -= 1 << 7 * (at - start)
    return value, at


def read_entries(section: CallFrameSection) -> Iterator[Entry]:
    """Yield the frame description entries in order; MalformedCallFramesError where they break."""
    data = section.data
    if len(data) > MAX_SECTION_BYTES:
        raise MalformedCallFramesError(f"{len(data)} bytes of frame information")
    cies: dict[int, Cie | None] = {}  # with failures, so that a bad one is tried once
    at, end = 0, len(data) - 8
    while at <= end:
        length, pointer = _HEAD.unpack_from(data, at)
        is_long = length == _LONG and at + 12 <= len(data)
        if is_long:  # allowed, though no section needs it; such an entry is left out
            length = 8 + int.from_bytes(data[at + 4 : at + 12], "little")
        following = at + 4 + length
        if length == 0:
            if section.ends_at_zero:
                return
        elif length < (12 if is_long else 4) or following > len(data):
            raise MalformedCallFramesError(f"entry at {at:#x} has {length} bytes")
        elif pointer and not is_long:
            place = at + 4 - pointer
            if place not in cies:
                cies[place] = _cie_at(data, place)
            entry = _entry(section, cies[place], at + 8, following)
            if entry is not None:
                yield entry
        at = following


def _cie_at(data: bytes, at: int) -> Cie | None:
    if at < 0:
        return None
    try:
        length, identifier = _HEAD.unpack_from(data, at)
        end = at + 4 + length
        if identifier or end > len(data) or length > MAX_CIE_BYTES:
            return None
        return _parse_cie(data[at + 8 : end])
    except (IndexError, struct.error, ValueError):
        return None


def _parse_cie(data: bytes) -> Cie | None:
    version = data[0]
    zero = data.index(0, 1)
    augmentation = data[1:zero]
    if version not in (1, 3) or (augmentation and augmentation[:1] != b"z"):
        return None
    code_align, at = read_uleb(data, zero + 1)
    data_align, at = read_sleb(data, at)
    return_register, at = (data[at], at + 1) if version == 1 else read_uleb(data, at)
    encoding = PE_ABSPTR
    if augmentation:
        size, at = read_uleb(data, at)
        encoding = _augmented_encoding(data[at : at + size], augmentation[1:])
        at += size
    if at > len(data):
        return None
    return Cie(code_align, data_align, return_register, encoding, bool(augmentation), data[at:])


def _augmented_encoding(values: bytes, letters: bytes) -> int:
    # The encoding of addresses; unknown letters end what can be known, their data is skipped.
    encoding, at = PE_ABSPTR, 0
    for letter in letters:
        if letter == ord("R"):
            return values[at]
        if letter == ord("P"):
            at += 1 + _pointer_bytes(values[at])
        elif letter == ord("L"):
            at += 1
        elif letter not in b"SB":
            break
    return encoding


def _pointer_bytes(encoding: int) -> int:
    fixed = _FIXED.get(encoding & 0x0F)
    if fixed is None:
        raise ValueError(f"a personality pointer of encoding {encoding:#x}")
    return fixed.size


def _entry(section: CallFrameSection, cie: Cie | None, at: int, end: int) -> Entry | None:
    # None when not even the address range can be read.
    encoding = PCREL_SDATA4 if cie is None else cie.encoding
    try:
        start, at = _pointer(section, encoding, at, end)
        size, at = _pointer(section, encoding & 0x0F, at, end)
    except ValueError:
        return None
    size &= 0xFFFFFFFF if encoding & 0x0F == PE_SDATA4 else 0xFFFFFFFFFFFFFFFF
    if cie is not None and cie.augmented:
        try:
            skipped, at = read_uleb(section.data, at)
        except IndexError:
            cie = None
        else:
            at += skipped
    if cie is None or at > end:
        return start, start + size, None, b""
    return start, start + size, cie, section.data[at:end]


def _pointer(section: CallFrameSection, encoding: int, at: int, end: int) -> tuple[int, int]:
    fixed = _FIXED.get(encoding & 0x0F)
    if fixed is None or encoding & 0xF0 not in (0, PE_PCREL) or at + fixed.size > end:
        raise ValueError(f"an address of encoding {encoding:#x}")
    value = int(fixed.unpack_from(section.data, at)[0])
    if encoding & PE_PCREL:
        value += section.address + at
    return value, at + fixed.size
