"""From addresses to frames with names; and better names for frames of an older recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace

from profiler.binary.code_image import CodeImage
from profiler.binary.debug_files import OpenFile, SymbolDirectory, find_debug_file
from profiler.binary.debuginfod import Debuginfod
from profiler.binary.elf import Elf, ElfError
from profiler.binary.functions import FunctionTable
from profiler.binary.symtab import SymbolTable, read_symtab
from profiler.model.recording import Frame, Recording
from profiler.names.inferred import InferredNames
from profiler.names.kallsyms import Kallsyms
from profiler.names.symbolizer import Symbol, SymbolIndex, Symbolizer, TableSource

FIRST_KERNEL_ADDRESS = 1 << 63
VDSO = "[vdso]"
INFERRED = "inferred"

FileAddress = tuple[int, int]  # index of the file, virtual address inside it


class FileNames:
    """Names functions of one file of the target.

    Separate debug files are searched, and opened, when this is made, so that they are still there
    when the target has gone; they are read when the first name is asked for.
    """

    def __init__(
        self,
        elf: Elf,
        path: str,
        functions: FunctionTable,
        roots: Iterable[int] = (),
        directory: SymbolDirectory | None = None,
        debuginfod: Debuginfod | None = None,
    ) -> None:
        """Prepare the names of the file that the target sees at `path`.

        `roots`: directory descriptors to search debug files in, the target's root first.
        """
        self._origin = "vdso" if path == VDSO else None
        self._elf = elf
        self._functions = functions
        self._inferred: InferredNames | None = None
        self._problems: set[str] = set()
        self._symbolizer = Symbolizer(
            elf, functions, _sources(elf, path, roots, debuginfod), _preferred(elf, directory)
        )

    def lookup(self, address: int) -> Symbol | None:
        """Return the name of the function at an address inside the file, None when unknown."""
        try:
            symbol = self._symbolizer.lookup(address)
            if symbol is not None:
                return replace(symbol, origin=self._origin or symbol.origin)
            return self._infer(address)
        except ElfError as error:
            self._problems.add(error.message)
            return None

    def start(self, address: int) -> int | None:
        """Return where the function at an address begins by its frame description."""
        return self._symbolizer.start(address)

    @property
    def problems(self) -> tuple[str, ...]:
        """What could not be read, so far."""
        return tuple(self._symbolizer.problems) + tuple(sorted(self._problems))

    def _infer(self, address: int) -> Symbol | None:
        start = self._symbolizer.start(address)
        if start is None:
            return None
        if self._inferred is None:
            self._inferred = InferredNames(CodeImage(self._elf, self._functions))
        name = self._inferred.name(start)
        return None if name is None else Symbol(name, start, INFERRED)


def name_frames(
    addresses: Iterable[int],
    locate: Callable[[int], FileAddress | None],
    files: Sequence[FileNames | None],
    kernel: Kallsyms | None = None,
    kernel_file: int | None = None,
) -> tuple[Frame, ...]:
    """Return one frame for each address, in the same order.

    A return address must come as an address inside the call that it returns from (minus one): the
    call may be the last instruction of its function. `locate` and `files` describe user code, by
    the same index; `kernel_file` is the index of "[kernel]" in the recording's files.
    """
    frames = []
    for address in addresses:
        if address >= FIRST_KERNEL_ADDRESS:
            frames.append(_kernel_frame(address, kernel, kernel_file))
            continue
        place = locate(address)
        if place is None:
            frames.append(Frame(address, None, None, None, None, None))
        else:
            frames.append(_user_frame(address, place, files[place[0]]))
    return tuple(frames)


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


def _kernel_frame(address: int, kernel: Kallsyms | None, file: int | None) -> Frame:
    symbol = None if kernel is None else kernel.lookup(address)
    if symbol is None:
        return Frame(address, file, None, None, None, None)
    return Frame(address, file, None, None, symbol.name, symbol.origin)


def _user_frame(address: int, place: FileAddress, names: FileNames | None) -> Frame:
    file, offset = place
    symbol = None if names is None else names.lookup(offset)
    if symbol is not None:
        return Frame(address, file, offset, symbol.start, symbol.name, symbol.origin)
    start = None if names is None else names.start(offset)
    return Frame(address, file, offset, start, None, None)


def _sources(
    elf: Elf, path: str, roots: Iterable[int], debuginfod: Debuginfod | None
) -> list[TableSource]:
    sources: list[TableSource] = []
    debug_file = None if elf.section(".symtab") else find_debug_file(elf, path, roots)
    if debug_file is not None:
        sources.append(("debugfile", lambda: _table(debug_file)))
    elif debuginfod is not None and elf.build_id is not None and not elf.section(".symtab"):
        build_id = elf.build_id
        sources.append(("debuginfod", lambda: _table(debuginfod.find(build_id))))
    return sources


def _preferred(elf: Elf, directory: SymbolDirectory | None) -> list[TableSource]:
    if directory is None or elf.build_id is None:
        return []
    file = directory.find(elf.build_id)
    return [] if file is None else [("debugfile", lambda: _table(file))]


def _table(file: OpenFile | None) -> SymbolTable | None:
    return None if file is None else read_symtab(Elf.from_fd(file.fd))
