"""Symbol tables of an ELF file (.symtab, .dynsym) as compact arrays; names are decoded on demand.

Layout: System V gABI chapter 4, "Symbol Table". A file without section headers has its .dynsym
found through PT_DYNAMIC, and its length through DT_HASH or DT_GNU_HASH.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from profiler.binary.elf import MAX_READ_BYTES, Elf, ElfError, string_at

MAX_SYMBOLS = MAX_READ_BYTES // 24
SYMBOL_BYTES = 24
SHT_SYMTAB, SHT_DYNSYM = 2, 11
STT_NOTYPE, STT_OBJECT, STT_FUNC, STT_GNU_IFUNC = 0, 1, 2, 10
STB_LOCAL, STB_WEAK = 0, 2
SHN_UNDEF = 0
DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_GNU_HASH = 4, 5, 6, 10, 0x6FFFFEF5


@dataclass(frozen=True, slots=True)
class ElfSymbol:
    """One entry of a symbol table. `value` is an address inside the file; 0 when undefined."""

    name: str
    value: int
    size: int
    defined: bool  # this file holds what the symbol names


class SymbolTable:
    """A symbol table of `len(values)` entries; entry i of every array belongs to symbol i."""

    def __init__(self, entries: bytes, names: bytes) -> None:
        words = array("Q")
        words.frombytes(entries[: len(entries) // SYMBOL_BYTES * SYMBOL_BYTES])
        if sys.byteorder == "big":
            words.byteswap()
        # st_name 32 bits, st_info 8, st_other 8, st_shndx 16 | st_value | st_size
        self._heads = words[0::3]
        self.values = words[1::3]
        self.sizes = words[2::3]
        self._names = names

    def __len__(self) -> int:
        return len(self.values)

    def name(self, index: int) -> str:
        """Return the name of symbol `index`, unprintable characters escaped."""
        return string_at(self._names, self._heads[index] & 0xFFFFFFFF)

    def type(self, index: int) -> int:
        """Return STT_*."""
        return self._heads[index] >> 32 & 0xF

    def bind(self, index: int) -> int:
        """Return STB_*."""
        return self._heads[index] >> 36 & 0xF

    def section(self, index: int) -> int:
        """Return the index of the section that defines it, SHN_UNDEF for an import."""
        return self._heads[index] >> 48

    def symbol(self, index: int) -> ElfSymbol:
        """Return symbol `index`, IndexError beyond the table."""
        defined = self.section(index) != SHN_UNDEF
        return ElfSymbol(self.name(index), self.values[index], self.sizes[index], defined)

    def functions(self) -> Iterator[int]:
        """Yield the indices of the functions that this file defines."""
        for index, head in enumerate(self._heads):
            if head >> 48 and (head >> 32 & 0xF) in (STT_FUNC, STT_GNU_IFUNC):
                yield index

    def find(self, name: str) -> ElfSymbol | None:
        """Return the defined symbol of that name, the first one when there are several."""
        index = self._defined.get(name)
        return None if index is None else self.symbol(index)

    @cached_property
    def _defined(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for index, head in enumerate(self._heads):
            if head >> 48 and head & 0xFFFFFFFF:
                found.setdefault(self.name(index), index)
        return found


def read_symtab(elf: Elf) -> SymbolTable | None:
    """Return .symtab, None when the file was stripped of it."""
    return _read_section_table(elf, SHT_SYMTAB)


def read_dynsym(elf: Elf) -> SymbolTable | None:
    """Return .dynsym, None in a static file."""
    table = _read_section_table(elf, SHT_DYNSYM)
    return table if table is not None or elf.sections else _read_dynamic_table(elf)


def _read_section_table(elf: Elf, kind: int) -> SymbolTable | None:
    for section in elf.sections:
        if section.type == kind and section.entry_bytes == SYMBOL_BYTES:
            if section.link >= len(elf.sections):
                raise ElfError(f"{section.name} links to section {section.link}")
            return SymbolTable(elf.data(section), elf.data(elf.sections[section.link]))
    return None


def _read_dynamic_table(elf: Elf) -> SymbolTable | None:
    tags = elf.dynamic
    if DT_SYMTAB not in tags or DT_STRTAB not in tags:
        return None
    count = min(_count_by_hash(elf), elf.file_bytes_from(tags[DT_SYMTAB]) // SYMBOL_BYTES)
    names_bytes = min(tags.get(DT_STRSZ, 0), elf.file_bytes_from(tags[DT_STRTAB]))
    entries = elf.read_at(tags[DT_SYMTAB], count * SYMBOL_BYTES)
    names = elf.read_at(tags[DT_STRTAB], names_bytes)
    return None if entries is None or names is None else SymbolTable(entries, names)


def _count_by_hash(elf: Elf) -> int:
    """Return the number of dynamic symbols, 0 when no hash table says it."""
    if DT_HASH in elf.dynamic:
        head = elf.read_at(elf.dynamic[DT_HASH], 8)
        return 0 if head is None else int(struct.unpack("<II", head)[1])
    address = elf.dynamic.get(DT_GNU_HASH)
    head = None if address is None else elf.read_at(address, 16)
    if address is None or head is None:
        return 0
    buckets, first_hashed, bloom, _ = struct.unpack("<IIII", head)
    buckets_at = address + 16 + bloom * 8
    table = elf.read_at(buckets_at, min(buckets * 4, MAX_READ_BYTES))
    last = max(struct.unpack(f"<{len(table) // 4}I", table), default=0) if table else 0
    if last < first_hashed:
        return int(first_hashed)
    chain_at = buckets_at + buckets * 4 + (last - first_hashed) * 4
    room = min(elf.file_bytes_from(chain_at), MAX_SYMBOLS * 4) // 4 * 4
    chain = elf.read_at(chain_at, room) or b""
    for position, (value,) in enumerate(struct.iter_unpack("<I", chain)):
        if value & 1:  # the lowest bit ends a chain
            return int(last + position + 1)
    return 0
