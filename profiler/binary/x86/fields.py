"""The parts that all x86-64 instructions share: prefixes, ModRM, SIB and displacement.

Source: Intel SDM volume 2, chapter 2.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_LENGTH = 15
_STACK_POINTER = 4
_LEGACY_PREFIXES = frozenset((0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65))


class DecodeError(Exception):
    """The bytes are no instruction of 64-bit mode, or the buffer ends inside it."""


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory operand; `address` is set when it needs no register, as with RIP-relative ones."""

    base: int | None
    index: int | None
    scale: int
    displacement: int
    address: int | None
    segment: str | None  # "fs" or "gs"


class Reader:
    """The bytes of one instruction and what its prefixes said; bounds every read."""

    __slots__ = (
        *("code", "start", "position", "limit", "prefix", "opsize", "address32", "segment"),
        *("rex", "w", "r", "x", "b", "vvvv"),
    )

    def __init__(self, code: bytes, offset: int) -> None:
        self.code = code
        self.start = self.position = offset
        self.limit = min(len(code), offset + MAX_LENGTH)
        self.prefix = 0  # index into x86_tables.PREFIXES
        self.opsize = self.address32 = False
        self.rex = False
        self.segment: str | None = None
        self.w = self.r = self.x = self.b = self.vvvv = 0

    def byte(self) -> int:
        """Take one byte."""
        position = self.position
        if position >= self.limit:
            raise DecodeError("instruction does not end")
        self.position = position + 1
        return self.code[position]

    def signed(self, size: int) -> int:
        """Take a little-endian signed number of `size` bytes."""
        start = self.position
        if start + size > self.limit:
            raise DecodeError("instruction does not end")
        self.position = start + size
        return int.from_bytes(self.code[start : start + size], "little", signed=True)

    def set_rex(self, bits: int) -> None:
        """Set W, R, X and B from the low four bits; R, X and B as 8 or 0, to be or-ed in."""
        self.rex = True
        self.w, self.r, self.x, self.b = bits & 8, (bits & 4) << 1, (bits & 2) << 2, (bits & 1) << 3


@dataclass(slots=True)
class ModRM:
    """The ModRM byte with its SIB and displacement; `rip` marks a RIP-relative displacement."""

    register: int = 0
    rm: int = 0
    extension: int = 0
    is_register: bool = False
    memory: Memory | None = None
    rip: bool = False


def read_prefixes(reader: Reader) -> int:
    """Take legacy prefixes and REX; return the first opcode byte."""
    repeat = rex = 0
    while True:
        byte = reader.byte()
        if byte & 0xF0 == 0x40:
            rex = byte
            continue
        if byte not in _LEGACY_PREFIXES:
            break
        rex = 0  # only a REX right before the opcode counts
        if byte == 0x66:
            reader.opsize = True
        elif byte == 0xF2 or byte == 0xF3:
            repeat = byte - 0xF0  # 2 and 3, the indexes in PREFIXES
        elif byte == 0x67:
            reader.address32 = True
        elif byte == 0x64 or byte == 0x65:
            reader.segment = "fs" if byte == 0x64 else "gs"
    if rex:
        reader.set_rex(rex)
    reader.prefix = repeat or int(reader.opsize)
    return byte


def read_modrm(reader: Reader) -> ModRM:
    """Take the ModRM byte, and the SIB byte and displacement that it calls for."""
    byte = reader.byte()
    mod, low = byte >> 6, byte & 7
    result = ModRM(register=(byte >> 3 & 7) | reader.r, rm=low | reader.b, extension=byte >> 3 & 7)
    if mod == 3:
        result.is_register = True
        return result
    base: int | None = low | reader.b
    index, scale = None, 1
    if low == 4:
        sib = reader.byte()
        scale = 1 << (sib >> 6)
        number = (sib >> 3 & 7) | reader.x
        index = None if number == _STACK_POINTER else number
        low = sib & 7
        base = low | reader.b
        if low == 5 and mod == 0:
            base = None
    elif low == 5 and mod == 0:
        result.rip, base = True, None
    size = {0: 4 if base is None else 0, 1: 1, 2: 4}[mod]
    displacement = reader.signed(size) if size else 0
    absolute = displacement if base is None and index is None and not result.rip else None
    result.memory = Memory(base, index, scale, displacement, absolute, reader.segment)
    return result


def read_vex_prefix(reader: Reader, escape: int) -> tuple[int, int]:
    """Take the bytes after the escape; return the opcode map and the implied prefix."""
    p0 = reader.byte()
    if escape == 0xC5:
        reader.set_rex(~p0 >> 5 & 4)
        reader.vvvv = ~p0 >> 3 & 15
        return 1, p0 & 3
    p1 = reader.byte()
    reader.set_rex((~p0 >> 5 & 7) | (p1 >> 4 & 8))
    reader.vvvv = ~p1 >> 3 & 15
    if escape == 0x62:
        if p0 & 8 or not p1 & 4:
            raise DecodeError("no EVEX prefix")
        reader.byte()
        return p0 & 7, p1 & 3
    return p0 & 31, p1 & 3
