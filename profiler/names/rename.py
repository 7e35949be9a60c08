"""Better names for the frames of an older recording."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from profiler.binary.debug_files import SymbolDirectory
from profiler.binary.elf import Elf, ElfError
from profiler.binary.symtab import read_symtab
from profiler.model.recording import Frame, Recording
from profiler.names.symbolizer import INFERRED, SymbolIndex


def rename(recording: Recording, directories: Sequence[SymbolDirectory]) -> Recording:
    """Return the recording with names from symbol directories, found by build id and offset.

    Only frames without name and inferred names are replaced. The first directory goes first.
    """
    indices = {
        number: index
        for number, file in enumerate(recording.files)
        if file.build_id is not None and (index := _index(directories, file.build_id)) is not None
    }
    return replace(recording, frames=tuple(_renamed(frame, indices) for frame in recording.frames))


def _renamed(frame: Frame, indices: dict[int, SymbolIndex]) -> Frame:
    unnamed = frame.symbol is None or frame.origin == INFERRED
    index = None if frame.file is None else indices.get(frame.file)
    if index is None or frame.offset is None or not unnamed:
        return frame
    found = index.covering(frame.offset, frame.function_offset)
    if found is None:
        return frame
    return replace(frame, symbol=found[0], function_offset=found[1], origin="debugfile")


def _index(directories: Sequence[SymbolDirectory], build_id: str) -> SymbolIndex | None:
    for directory in directories:
        file = directory.find(build_id)
        if file is None:
            continue
        with suppress(ElfError):
            elf = Elf.from_fd(file.fd)
            table = read_symtab(elf)
            if table is not None:
                return SymbolIndex(table, elf)
    return None
