"""Reads call frame information, `.eh_frame` and `.debug_frame`, into frame description entries.

Sources: LSB Core 5.0 "Exception Frames" for `.eh_frame`, DWARF 4 section 6.4.1 for `.debug_frame`.
The bytes may be hostile: work and memory grow with the section's size only. What the instructions
of an entry mean is in unwind/rules.py.
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
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_HEAD = struct.Struct("<II")  # length, CIE pointer
_RANGE = struct.Struct("<iI")  # start relative to its own address, size


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

    @property
    def usual(self) -> bool:
        """Return whether its entries look as GCC and Clang make them."""
        return self.augmented and self.encoding == PCREL_SDATA4


@dataclass(frozen=True, slots=True)
class CallFrameSection:
    """Contents of a section and its virtual address.

    `ends_at_zero`: the end of the contents is not the section's, so that a zero length ends it.
    """

    data: bytes
    address: int
    is_debug: bool = False
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
    data, address = section.data, section.address
    if len(data) > MAX_SECTION_BYTES:
        raise MalformedCallFramesError(f"{len(data)} bytes of frame information")
    cies: dict[int, Cie | None] = {}
    at, end = 0, len(data) - 8
    while at <= end:
        length, pointer = _HEAD.unpack_from(data, at)
        following = at + 4 + length
        if section.is_debug or not 13 <= length < 0xFFFFFFF0 or following > len(data):
            if length == 0 and section.ends_at_zero:
                return
            following, entry = _read_unusual(section, cies, at)
            if entry is not None:
                yield entry
        elif pointer:
            place = at + 4 - pointer
            cie = cies[place] if place in cies else _cie_at(section, cies, place)
            program = at + 17 + data[at + 16]
            if cie is not None and cie.usual and data[at + 16] < 0x80 and program <= following:
                start, size = _RANGE.unpack_from(data, at + 8)
                start += address + at + 8
                yield start, start + size, cie, data[program:following]
            elif (entry := _entry(section, cie, at + 8, following)) is not None:
                yield entry
        at = following


def _read_unusual(
    section: CallFrameSection, cies: dict[int, Cie | None], at: int
) -> tuple[int, Entry | None]:
    # Terminators, 64-bit lengths, `.debug_frame`.
    start = at
    (length,) = _U32.unpack_from(section.data, at)
    at += 4
    if length == 0:
        return at, None
    wide = length == 0xFFFFFFFF
    if wide:
        if at + 8 > len(section.data):
            raise MalformedCallFramesError(f"entry at {start:#x} ends with the section")
        (length,) = _U64.unpack_from(section.data, at)
        at += 8
    following = at + length
    # LSB: the CIE pointer of .eh_frame has 4 bytes even then; that of .debug_frame grows.
    field = _U64 if wide and section.is_debug else _U32
    if length < field.size or following > len(section.data):
        raise MalformedCallFramesError(f"entry at {start:#x} has {length} bytes")
    (pointer,) = field.unpack_from(section.data, at)
    if pointer == ((1 << 8 * field.size) - 1 if section.is_debug else 0):
        return following, None
    place = pointer if section.is_debug else at - pointer
    cie = cies[place] if place in cies else _cie_at(section, cies, place)
    return following, _entry(section, cie, at + field.size, following)


def _cie_at(section: CallFrameSection, cies: dict[int, Cie | None], place: int) -> Cie | None:
    # Remembers failures too, so that a bad one is tried once.
    try:
        cie = _parse_cie(section, place)
    except (IndexError, struct.error, ValueError):
        cie = None
    cies[place] = cie
    return cie


def _parse_cie(section: CallFrameSection, at: int) -> Cie | None:
    data = section.data
    if at < 0:
        return None
    (length,) = _U32.unpack_from(data, at)
    at += 4
    wide = length == 0xFFFFFFFF
    if wide:
        (length,) = _U64.unpack_from(data, at)
        at += 8
    end = at + length
    field = _U64 if wide and section.is_debug else _U32
    (identifier,) = field.unpack_from(data, at)
    expected = (1 << 8 * field.size) - 1 if section.is_debug else 0
    if identifier != expected or end > len(data) or length > MAX_CIE_BYTES:
        return None
    return _parse_cie_body(data[:end] if end < len(data) else data, at + field.size, end)


def _parse_cie_body(data: bytes, at: int, end: int) -> Cie | None:
    version = data[at]
    zero = data.index(0, at + 1, end)
    augmentation = data[at + 1 : zero]
    at = zero + 1
    if version not in (1, 3, 4) or (augmentation and augmentation[:1] != b"z"):
        return None
    if version == 4:
        if data[at] != 8 or data[at + 1] != 0:  # address and segment selector size
            return None
        at += 2
    code_align, at = read_uleb(data, at)
    data_align, at = read_sleb(data, at)
    return_register, at = (data[at], at + 1) if version == 1 else read_uleb(data, at)
    encoding = PE_ABSPTR
    if augmentation:
        size, at = read_uleb(data, at)
        encoding = _augmented_encoding(data[at : at + size], augmentation[1:])
        at += size
    if at > end:
        return None
    return Cie(code_align, data_align, return_register, encoding, bool(augmentation), data[at:end])


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
    if cie is None and section.is_debug:
        encoding = PE_ABSPTR
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
