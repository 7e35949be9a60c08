"""Reads ELF64 little-endian x86-64 files: headers, sections, notes, bytes at an address.

The file may be hostile (it belongs to the target): every offset is checked, every count bounded,
and it is read with pread, never mapped, because a mapped file that its owner truncates kills the
reader with SIGBUS. Layouts: System V gABI chapters 4 and 5, x86-64 psABI chapter 4.
Symbols are in symtab.py, relocations in relocations.py.
"""

from __future__ import annotations

import os
import stat
import struct
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

from profiler.binary.build_id import DebugLink, parse_build_id, parse_debuglink
from profiler.errors import ProbeError

MAX_READ_BYTES = 256 << 20  # the largest section that we load; libc's .symtab has 0.1 MB
MAX_SEGMENTS = 1 << 12
MAX_DYNAMIC = 1 << 12
MAX_NAME_BYTES = 4096

ET_EXEC = 2
EM_X86_64 = 62
PT_LOAD, PT_DYNAMIC, PT_NOTE = 1, 2, 4
PT_GNU_EH_FRAME = 0x6474E550
PF_X, PF_W = 1, 2
SHT_NOTE, SHT_NOBITS = 7, 8
SHF_EXECINSTR = 4
DT_NULL = 0

# Fields that nothing needs are padding.
_HEADER = struct.Struct("<16sHH4xQQQ6xHHHHH")
_SEGMENT = struct.Struct("<IIQQ8xQQQ")
_SECTION = struct.Struct("<IIQQQQI4xQQ")
_DYNAMIC = struct.Struct("<qQ")

Reader = Callable[[int, int], bytes]  # (offset, size) -> at most size bytes


class ElfError(ProbeError):
    """Not an ELF file that we can read; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A program header."""

    type: int
    flags: int
    offset: int
    address: int
    file_bytes: int
    memory_bytes: int
    align: int


@dataclass(frozen=True, slots=True)
class Section:
    """A section header."""

    name: str
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    align: int
    entry_bytes: int


class Elf:
    """One ELF file. Raises ElfError when it is none; what is absent in it is None or empty.

    Addresses are virtual addresses inside the file, as `nm` and `objdump` show them.
    """

    def __init__(self, read: Reader, size: int) -> None:
        self._read = read
        self.size = size
        header = _HEADER.unpack(self.read(0, _HEADER.size))
        ident, self.type, machine, self.entry, phoff, shoff = header[:6]
        phentsize, phnum, shentsize, shnum, shstrndx = header[6:]
        if ident[:7] != b"\x7fELF\x02\x01\x01":
            raise ElfError("not an ELF64 little-endian file")
        if machine != EM_X86_64:
            raise ElfError(f"made for another machine (e_machine {machine}, not x86-64)")
        # No linked file has so many headers that their number does not fit there (SHN_XINDEX).
        self.segments = self._read_segments(phoff, phentsize, phnum)
        self.sections = self._read_sections(shoff, shentsize, shnum, shstrndx)

    @classmethod
    def from_bytes(cls, data: bytes) -> Elf:
        """Return the file whose contents are `data`."""
        return cls(lambda offset, size: data[offset : offset + size], len(data))

    @classmethod
    def from_fd(cls, fd: int) -> Elf:
        """Return the file behind `fd`, which the caller keeps open while the result is used."""
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise ElfError("not a regular file")
            return cls(lambda offset, size: os.pread(fd, size, offset), status.st_size)
        except OSError as error:
            raise ElfError(f"cannot be read: {error.strerror}") from error

    # -- raw access

    def read(self, offset: int, size: int) -> bytes:
        """Return exactly `size` bytes at a file offset; ElfError when the file ends before."""
        if offset < 0 or size < 0 or offset + size > self.size:
            raise ElfError(f"bytes {offset:#x}+{size:#x} lie beyond the end ({self.size:#x})")
        if size > MAX_READ_BYTES:
            raise ElfError(f"{size} bytes at {offset:#x} are more than we read at once")
        try:
            data = self._read(offset, size)
        except OSError as error:
            raise ElfError(f"cannot be read: {error.strerror}") from error
        if len(data) != size:
            raise ElfError(f"the file shrank while it was read (at {offset:#x})")
        return data

    def read_at(self, address: int, size: int) -> bytes | None:
        """Return `size` bytes at a virtual address, None unless one segment has them all."""
        offset = self.offset_of(address)
        if offset is None or size < 0 or self.file_bytes_from(address) < size:
            return None
        return self.read(offset, size)

    def file_bytes_from(self, address: int) -> int:
        """Return how many bytes the file has from a virtual address to its segment's end."""
        segment = self._segment(address)
        return 0 if segment is None else segment.address + segment.file_bytes - address

    def offset_of(self, address: int) -> int | None:
        """Return the file offset of a virtual address, None when the file has no byte for it."""
        segment = self._segment(address)
        return None if segment is None else address - segment.address + segment.offset

    @cached_property
    def loads(self) -> tuple[Segment, ...]:
        """The PT_LOAD segments by address."""
        found = [segment for segment in self.segments if segment.type == PT_LOAD]
        return tuple(sorted(found, key=attrgetter("address")))

    @cached_property
    def code_ranges(self) -> tuple[tuple[int, int], ...]:
        """[start, end) addresses of the executable segments' file data, by address."""
        executable = [load for load in self.loads if load.flags & PF_X]
        return tuple((load.address, load.address + load.file_bytes) for load in executable)

    # -- sections, with what replaces them in a file without section headers

    def section(self, name: str) -> Section | None:
        """Return the first section of that name."""
        return self._by_name.get(name)

    def data(self, section: Section) -> bytes:
        """Return a section's contents, b"" for one without (NOBITS).

        Nothing that we read is ever compressed (SHF_COMPRESSED is for .debug_*).
        """
        return b"" if section.type == SHT_NOBITS else self.read(section.offset, section.size)

    @cached_property
    def eh_frame_hdr(self) -> tuple[int, bytes] | None:
        """(address, contents) of .eh_frame_hdr, by section or PT_GNU_EH_FRAME."""
        section = self._allocated(".eh_frame_hdr")
        if section is not None:
            return section.address, self.data(section)
        for segment in self.segments:
            if segment.type == PT_GNU_EH_FRAME:
                return segment.address, self.read(segment.offset, segment.file_bytes)
        return None

    @cached_property
    def eh_frame(self) -> tuple[int, bytes] | None:
        """(address, contents) of .eh_frame; without sections up to the end of its segment.

        The fallback needs the usual pointer encoding of .eh_frame_hdr, pcrel | sdata4 (LSB Core,
        "DWARF Extensions"); the contents then end at the zero terminator that the reader meets.
        """
        section = self._allocated(".eh_frame")
        if section is not None:
            return section.address, self.data(section)
        header = self.eh_frame_hdr
        if header is None or len(header[1]) < 8 or header[1][:2] != b"\x01\x1b":
            return None
        address = header[0] + 4 + int(struct.unpack_from("<i", header[1], 4)[0])
        size = min(self.file_bytes_from(address), MAX_READ_BYTES)
        data = self.read_at(address, size) if size else None
        return None if data is None else (address, data)

    @cached_property
    def dynamic(self) -> dict[int, int]:
        """The PT_DYNAMIC entries, tag to first value."""
        entries: dict[int, int] = {}
        for segment in self.segments:
            if segment.type != PT_DYNAMIC:
                continue
            count = min(segment.file_bytes // _DYNAMIC.size, MAX_DYNAMIC)
            for tag, value in _DYNAMIC.iter_unpack(
                self.read(segment.offset, count * _DYNAMIC.size)
            ):
                if tag == DT_NULL:
                    break
                entries.setdefault(tag, value)
        return entries

    # -- identity

    @cached_property
    def build_id(self) -> str | None:
        """The GNU build id in hexadecimal."""
        found = (parse_build_id(data, align) for data, align in self._note_areas())
        return next((build_id for build_id in found if build_id is not None), None)

    @cached_property
    def debuglink(self) -> DebugLink | None:
        """Name and CRC of the separate debug file."""
        section = self.section(".gnu_debuglink")
        if section is None or section.size > MAX_NAME_BYTES:
            return None
        return parse_debuglink(self.data(section))

    # -- parts of the above

    def _read_segments(self, phoff: int, phentsize: int, phnum: int) -> tuple[Segment, ...]:
        if not phnum:
            return ()
        if phentsize != _SEGMENT.size or phnum > MAX_SEGMENTS:
            raise ElfError(f"{phnum} program headers of {phentsize} bytes")
        table = self.read(phoff, phnum * _SEGMENT.size)
        return tuple(Segment(*row) for row in _SEGMENT.iter_unpack(table))

    def _read_sections(
        self, shoff: int, shentsize: int, shnum: int, shstrndx: int
    ) -> tuple[Section, ...]:
        # A file whose headers were cut off (sstrip) is still useful, so this is no error.
        fits = shoff + shnum * _SECTION.size <= self.size
        if not shoff or shentsize != _SECTION.size or not fits:
            return ()
        rows = list(_SECTION.iter_unpack(self.read(shoff, shnum * _SECTION.size)))
        names = b""
        if shstrndx < len(rows) and rows[shstrndx][1] != SHT_NOBITS:
            names = self.read(rows[shstrndx][4], rows[shstrndx][5])
        return tuple(Section(string_at(names, row[0]), *row[1:]) for row in rows)

    @cached_property
    def _by_name(self) -> dict[str, Section]:
        return {section.name: section for section in reversed(self.sections)}

    def _allocated(self, name: str) -> Section | None:
        section = self.section(name)
        return None if section is None or section.type == SHT_NOBITS else section

    def _segment(self, address: int) -> Segment | None:
        index = bisect_right(self.loads, address, key=attrgetter("address")) - 1
        if index < 0 or address >= self.loads[index].address + self.loads[index].file_bytes:
            return None
        return self.loads[index]

    def _note_areas(self) -> Iterator[tuple[bytes, int]]:
        # Debug files keep their notes' sections, but their program headers point at nothing.
        for section in self.sections:
            if section.type == SHT_NOTE:
                yield self.data(section), section.align
        for segment in self.segments if not self.sections else ():
            if segment.type == PT_NOTE:
                yield self.read(segment.offset, segment.file_bytes), segment.align


def string_at(table: bytes, offset: int) -> str:
    """Return the NUL-terminated string at `offset`, "" beyond the end, unprintables escaped."""
    end = table.find(b"\0", offset, offset + MAX_NAME_BYTES)
    raw = table[offset : end if end >= 0 else min(len(table), offset + MAX_NAME_BYTES)]
    text = raw.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
