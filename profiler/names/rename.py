"""Better names for the frames of an older recording."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TypeVar

from profiler.binary.debug_files import OpenFile
from profiler.binary.elf import Elf, ElfError
from profiler.binary.symtab import read_symtab
from profiler.model.leaks import LeaksRecording
from profiler.model.recording import Frame, MappedFile, Recording
from profiler.names.symbolizer import INFERRED, SymbolIndex

R = TypeVar("R", Recording, LeaksRecording)


class SymbolSource(Protocol):
    """Where files with symbols are found: a folder, or servers."""

    def find(self, build_id: str) -> OpenFile | None:
        """Return the file with that build id, open; None when there is none."""


def rename(
    recording: R,
    source: SymbolSource,
    origin: str = "debugfile",
    tell: Callable[[MappedFile], None] = lambda _: None,
) -> R:
    """Return the recording with names from a source of symbols, found by build id and offset.

    Only frames without name and inferred names are replaced, and only their files are looked for;
    `tell` is called before each.
    """
    indices: dict[int, SymbolIndex | None] = {}
    wanted = {f.file for f in recording.frames if f.file is not None and _is_wanted(f)}
    for number in sorted(wanted):
        file = recording.files[number]
        if file.build_id is not None:
            tell(file)
            indices[number] = _index(source, file.build_id)
    return replace(
        recording, frames=tuple(_renamed(frame, indices, origin) for frame in recording.frames)
    )


def matches(recording: Recording | LeaksRecording, source: SymbolSource) -> tuple[int, int]:
    """Return for how many files with code in the recording the source has symbols, and of how many.

    Only files with a build id count: nothing can be found for the others.
    """
    numbers = {frame.file for frame in recording.frames if frame.file is not None}
    build_ids = [recording.files[number].build_id for number in numbers]
    known = [build_id for build_id in build_ids if build_id is not None]
    return sum(_index(source, build_id) is not None for build_id in known), len(known)


def _is_wanted(frame: Frame) -> bool:
    return frame.offset is not None and (frame.symbol is None or frame.origin == INFERRED)


def _renamed(frame: Frame, indices: dict[int, SymbolIndex | None], origin: str) -> Frame:
    index = None if frame.file is None else indices.get(frame.file)
    if index is None or frame.offset is None or not _is_wanted(frame):
        return frame
    found = index.covering(frame.offset, frame.function_offset)
    if found is None:
        return frame
    return replace(frame, symbol=found[0], function_offset=found[1], origin=origin)


def _index(source: SymbolSource, build_id: str) -> SymbolIndex | None:
    file = source.find(build_id)
    if file is None:
        return None
    with suppress(ElfError):
        elf = Elf.from_fd(file.fd)
        table = read_symtab(elf)
        if table is not None:
            return SymbolIndex(table, elf)
    return None
