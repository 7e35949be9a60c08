"""The symbol tables that can name a file's functions, in the order in which they are asked."""

from __future__ import annotations

import lzma
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from profiler.binary.debug_files import OpenFile, SymbolDirectory, find_debug_file
from profiler.binary.elf import MAX_READ_BYTES, Elf, ElfError
from profiler.binary.symtab import SymbolTable, read_symtab

if TYPE_CHECKING:
    from profiler.binary.debuginfod import Debuginfod

TableSource = tuple[str, Callable[[], SymbolTable | None]]  # (origin, reads the table)


def table_sources(
    elf: Elf,
    path: str,
    roots: Iterable[int] = (),
    directory: SymbolDirectory | None = None,
    debuginfod: Debuginfod | None = None,
) -> list[TableSource]:
    """Return the tables for the file that the target sees at `path`.

    `roots`: directory descriptors to search debug files in, the target's root first. Separate debug
    files are opened now, so that they are still there when the target has gone; they are read when
    the first name is asked for.
    """
    build_id = elf.build_id
    own: TableSource = ("symtab", lambda: read_symtab(elf))
    sources = [own, ("debugdata", lambda: read_debugdata(elf))]
    if elf.section(".symtab") is None:
        file = find_debug_file(elf, path, roots)
        if file is not None:
            sources.insert(1, ("debugfile", lambda: _read(file)))
        elif debuginfod is not None and build_id is not None:
            sources.insert(1, ("debuginfod", lambda: _read(debuginfod.find(build_id))))
    known = directory.find(build_id) if directory is not None and build_id is not None else None
    return sources if known is None else [("debugfile", lambda: _read(known)), *sources]


def read_debugdata(elf: Elf) -> SymbolTable | None:
    """Return the symbol table inside .gnu_debugdata ("MiniDebugInfo": an ELF file in XZ)."""
    section = elf.section(".gnu_debugdata")
    if section is None:
        return None
    unpacker = lzma.LZMADecompressor(memlimit=MAX_READ_BYTES)
    try:
        data = unpacker.decompress(elf.data(section), MAX_READ_BYTES)
    except lzma.LZMAError as error:
        raise ElfError(f"it cannot be unpacked: {error}") from error
    if not unpacker.eof:
        raise ElfError("it ends too early, or is too large")
    return read_symtab(Elf.from_bytes(data))


def _read(file: OpenFile | None) -> SymbolTable | None:
    return None if file is None else read_symtab(Elf.from_fd(file.fd))
