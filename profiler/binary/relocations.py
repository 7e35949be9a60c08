"""Dynamic relocations of an ELF file: which symbol or address the loader writes into which slot.

Source: x86-64 psABI 1.0 table 4.10; DT_RELR by the gABI's "Relative Relocation Table".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from profiler.binary.elf import Elf, Section
from profiler.binary.symtab import ElfSymbol, SymbolTable, read_dynsym

R_64, R_GLOB_DAT, R_JUMP_SLOT, R_RELATIVE = 1, 6, 7, 8
DT_PLTRELSZ, DT_RELA, DT_RELASZ, DT_JMPREL = 2, 7, 8, 23
DT_RELRSZ, DT_RELR = 35, 36
MAX_RELOCATIONS = 1 << 20  # asterisk 22 has 20 thousand
STUB_BYTES = 16

_BY_SYMBOL = (R_64, R_GLOB_DAT, R_JUMP_SLOT)
_RELA = struct.Struct("<QQq")


@dataclass(frozen=True, slots=True)
class Imports:
    """What the loader writes into the slots (addresses inside the file) of one ELF file.

    `symbols`: slot to the symbol whose address it gets. `pointers`: slot to the address, inside
    the same file, that it gets.
    """

    symbols: dict[int, ElfSymbol]
    pointers: dict[int, int]


def read_imports(elf: Elf, dynsym: SymbolTable | None = None) -> Imports:
    """Return the file's dynamic relocations; `dynsym` saves reading the table again."""
    table = dynsym if dynsym is not None else read_dynsym(elf)
    symbols: dict[int, ElfSymbol] = {}
    pointers = dict(islice(_packed_pointers(elf), MAX_RELOCATIONS))
    for slot, info, addend in _entries(elf):
        kind, index = info & 0xFFFFFFFF, info >> 32
        if kind == R_RELATIVE:
            pointers[slot] = addend & 0xFFFFFFFFFFFFFFFF
        elif kind in _BY_SYMBOL and not addend and table and 0 < index < len(table):
            symbols[slot] = table.symbol(index)
    return Imports(symbols, pointers)


def slot_of_stub(elf: Elf, address: int) -> int | None:
    """Return the slot that the procedure linkage stub at `address` jumps through, else None.

    A stub is `jmp *slot(%rip)`, possibly after `endbr64` and with a `bnd` prefix: psABI 5.2
    (.plt, .plt.got) and the .plt.sec of `-z ibtplt`.
    """
    code = elf.read_at(address, min(STUB_BYTES, elf.file_bytes_from(address)))
    if not code:
        return None
    position = 4 if code.startswith(b"\xf3\x0f\x1e\xfa") else 0
    position += 1 if code[position : position + 1] == b"\xf2" else 0
    if code[position : position + 2] != b"\xff\x25" or position + 6 > len(code):
        return None
    distance = int(struct.unpack_from("<i", code, position + 2)[0])
    return address + position + 6 + distance


def stub_section(elf: Elf, address: int) -> Section | None:
    """Return the section of procedure linkage stubs that holds the address."""
    for name in (".plt", ".plt.sec", ".plt.got"):
        section = elf.section(name)
        if section is not None and section.address <= address < section.address + section.size:
            return section
    return None


def _entries(elf: Elf) -> Iterator[tuple[int, int, int]]:
    tags = elf.dynamic
    for start_tag, size_tag in ((DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)):
        start, size = tags.get(start_tag), tags.get(size_tag, 0)
        if start is None:
            continue
        room = min(size, elf.file_bytes_from(start), MAX_RELOCATIONS * _RELA.size)
        data = elf.read_at(start, room // _RELA.size * _RELA.size) if room else None
        yield from _RELA.iter_unpack(data or b"")


def _packed_pointers(elf: Elf) -> Iterator[tuple[int, int]]:
    """Yield (slot, address) of DT_RELR; the address stands in the slot itself."""
    start, size = elf.dynamic.get(DT_RELR), elf.dynamic.get(DT_RELRSZ, 0)
    if start is None:
        return
    room = min(size, elf.file_bytes_from(start)) // 8 * 8
    data = elf.read_at(start, room) or b""
    where = 0
    for (entry,) in struct.iter_unpack("<Q", data):
        if entry & 1:
            slots = [where + bit * 8 for bit in range(63) if entry >> (bit + 1) & 1]
            where += 63 * 8
        else:
            slots = [entry]
            where = entry + 8
        for slot in slots:
            value = elf.read_at(slot, 8)
            if value is not None:
                yield slot, int(struct.unpack("<Q", value)[0])
