"""Holds open whatever can name the target's code, and makes the frames of a recording."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from profiler.asterisk.container_calls import ContainerCalls
from profiler.background import Background
from profiler.binary.call_frames import MalformedCallFramesError
from profiler.binary.debug_files import OpenFile, SymbolDirectory
from profiler.binary.elf import PF_W, ElfError, Segment
from profiler.binary.functions import FunctionTable, functions
from profiler.binary.symtab import read_dynsym
from profiler.model.recording import Frame, MappedFile, System
from profiler.names.kallsyms import Kallsyms, read_kallsyms
from profiler.names.symbolizer import INFERRED, Symbolizer
from profiler.names.tables import TableSource, table_sources
from profiler.names.variables import Variables
from profiler.process.distribution import read_system
from profiler.process.mappings import VDSO, CodeFile, LoadedCode
from profiler.process.target import TargetProcess

if TYPE_CHECKING:
    from profiler.binary.debuginfod import Debuginfod

KERNEL = "[kernel]"
FIRST_KERNEL_ADDRESS = 1 << 63


def _data(loaded: LoadedCode) -> tuple[Segment, ...]:
    """Return the parts of a file that its variables lie in."""
    loads = () if loaded.file is None else loaded.file.elf.loads
    return tuple(load for load in loads if load.flags & PF_W)


def _servers() -> Debuginfod | None:
    """Return the servers to ask; without any, what speaks HTTP is not even imported: 20 ms."""
    if "DEBUGINFOD_URLS" not in os.environ:
        return None
    from profiler.binary.debuginfod import Debuginfod

    return Debuginfod.from_environment()


def _open_folder(path: str) -> OpenFile | None:
    with suppress(OSError):
        return OpenFile(os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY))
    return None


class NamingSession:
    """Names addresses of one target, also after it has ended or was upgraded.

    `pin` opens files that are mapped now; call it again when the target has mapped more.
    """

    def __init__(self, target: TargetProcess, symbols: str | None) -> None:
        self._code = target.code
        self._directory = SymbolDirectory(Path(symbols)) if symbols else None
        self._debuginfod = _servers()
        self._root = _open_folder(f"/proc/{target.pid}/root")
        self._roots = [root for root in (self._root, _open_folder("/")) if root is not None]
        self._numbers: dict[int, int] = {}  # in the following, by the file's identity
        self._files: list[CodeFile] = []
        self._sources: list[list[TableSource]] = []
        self._names: dict[int, Symbolizer] = {}
        self._calls: dict[int, ContainerCalls] = {}
        self._variable_names: dict[int, Variables] = {}
        self._unreadable: dict[int, str] = {}
        self._kernel_names: Background[Kallsyms | None] | None = None

    def pin(self) -> None:
        """Open the debug files of everything that is mapped now."""
        roots = [root.fd for root in self._roots]
        for loaded in self._code.current:
            file = loaded.file
            if file is not None and id(file) not in self._numbers:
                self._numbers[id(file)] = len(self._files)
                self._files.append(file)
                self._sources.append(
                    table_sources(file.elf, file.path, roots, self._directory, self._debuginfod)
                )

    def _symbolizer(self, number: int) -> Symbolizer:
        if number not in self._names:
            elf = self._files[number].elf
            sources = self._sources[number]
            self._names[number] = Symbolizer(elf, self._functions(number), sources)
        return self._names[number]

    def _functions(self, number: int) -> FunctionTable:
        file = self._files[number]
        try:
            return functions(file.elf)
        except (MalformedCallFramesError, ElfError) as error:
            problem = f"{file.path}: function boundaries are unreadable: {error}"
            self._unreadable[number] = problem
            return FunctionTable(array("Q"), array("Q"))

    def files(self) -> tuple[MappedFile, ...]:
        """Return the recording's files; the kernel is the last one."""
        user = [MappedFile(file.path, file.build_id) for file in self._files]
        return (*user, MappedFile(KERNEL, None))

    def frames(self, addresses: Iterable[int]) -> tuple[Frame, ...]:
        """Return a frame for each address, in order.

        A return address must come as an address inside the call that it returns from (minus one):
        the call may be the last instruction of its function.
        """
        return tuple(self._frame(address) for address in addresses)

    def calls_at(self, address: int) -> tuple[ContainerCalls, int] | None:
        """Return the calls of the file that is mapped at an address, and the address inside it."""
        loaded = self._code.at(address)
        number = None if loaded is None else self._numbers.get(id(loaded.file))
        if loaded is None or loaded.bias is None or number is None:
            return None
        if number not in self._calls:
            self._calls[number] = ContainerCalls(self._files[number].elf, self._functions(number))
        return self._calls[number], address - loaded.bias

    def variable(self, address: int) -> str | None:
        """Return the global variable at an address of data: "asterisk: lock", "asterisk+0x1234"."""
        for loaded in self._code.current:
            number = self._numbers.get(id(loaded.file))
            if loaded.file is None or loaded.bias is None or number is None:
                continue
            at, file = address - loaded.bias, PurePath(loaded.file.path).name
            if any(load.address <= at < load.address + load.memory_bytes for load in _data(loaded)):
                name = self._variables(number).name(at)
                return f"{file}+{at:#x}" if name is None else f"{file}: {name}"
        return None

    def _variables(self, number: int) -> Variables:
        if number not in self._variable_names:
            exported = ("dynsym", lambda: read_dynsym(self._files[number].elf))
            self._variable_names[number] = Variables((*self._sources[number], exported))
        return self._variable_names[number]

    def path(self, address: int) -> str | None:
        """Return the path of what is, or was, mapped at an address."""
        loaded = self._code.at(address)
        return None if loaded is None else loaded.mapping.path

    def kernel_function(self, address: int) -> str | None:
        """Return the name of the kernel's function at an address, None when it shows no names."""
        return None if self._kernel is None else self._kernel.lookup(address)

    def system(self, executable: str) -> System | None:
        """Return the distribution that the target sees, also after it has ended."""
        return None if self._root is None else read_system(self._root.fd, executable)

    def problems(self) -> tuple[str, ...]:
        """Return what could not be read while naming."""
        found = (p for _, names in sorted(self._names.items()) for p in sorted(names.problems))
        unreadable = (problem for _, problem in sorted(self._unreadable.items()))
        servers = self._debuginfod.problems if self._debuginfod is not None else ()
        return (*unreadable, *found, *servers)

    def begin_with_kernel(self) -> None:
        """Read the kernel's names in a thread, until they are needed."""
        self._kernel_names = Background(read_kallsyms)

    @cached_property
    def _kernel(self) -> Kallsyms | None:
        return self._kernel_names.result() if self._kernel_names else read_kallsyms()

    def _frame(self, address: int) -> Frame:
        if address >= FIRST_KERNEL_ADDRESS:
            name = self.kernel_function(address)
            return Frame(address, len(self._files), None, None, name, name and "kallsyms")
        loaded = self._code.at(address)
        number = None if loaded is None else self._numbers.get(id(loaded.file))
        if loaded is None or loaded.bias is None or number is None:
            return Frame(address, None, None, None, None, None)
        names, offset = self._symbolizer(number), address - loaded.bias
        symbol = names.lookup(offset)
        if symbol is None:
            return Frame(address, number, offset, names.start(offset), None, None)
        is_vdso = loaded.mapping.path == VDSO and symbol.origin != INFERRED
        origin = "vdso" if is_vdso else symbol.origin
        return Frame(address, number, offset, symbol.start, symbol.name, origin)
