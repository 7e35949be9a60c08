"""Holds open whatever can name the target's code, and makes the frames of a recording."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from profiler.binary.debug_files import OpenFile, SymbolDirectory
from profiler.binary.debuginfod import Debuginfod
from profiler.binary.functions import functions
from profiler.model.recording import Frame, MappedFile
from profiler.names.frames import FIRST_KERNEL_ADDRESS, FileAddress, FileNames, name_frames
from profiler.names.kallsyms import Kallsyms, read_kallsyms
from profiler.process.mappings import CodeFile, LoadedCode
from profiler.process.target import TargetProcess

KERNEL = "[kernel]"


class NamingSession:
    """Names addresses of one target, also after it has ended or was upgraded.

    `pin` opens files that are mapped now; call it again when the target has mapped more.
    """

    def __init__(self, target: TargetProcess, symbols: str | None) -> None:
        self._code = target.code
        self._directory = SymbolDirectory(Path(symbols)) if symbols else None
        self._debuginfod = Debuginfod.from_environment()
        self._roots: list[OpenFile] = []
        for path in (f"/proc/{target.pid}/root", "/"):
            with suppress(OSError):
                self._roots.append(
                    OpenFile(os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_DIRECTORY))
                )
        self._names: dict[int, FileNames] = {}
        self._numbers: dict[int, int] = {}
        self._files: list[CodeFile] = []
        self._ranges: dict[tuple[int, int], LoadedCode] = {}

    def pin(self) -> None:
        """Open the debug files of everything that is mapped now."""
        for loaded in self._code.current:
            self._ranges[loaded.mapping.start, loaded.mapping.end] = loaded
            if loaded.file is not None and id(loaded.file) not in self._numbers:
                self._numbers[id(loaded.file)] = len(self._files)
                self._files.append(loaded.file)
                self._names[id(loaded.file)] = FileNames(
                    loaded.file.elf,
                    loaded.file.path,
                    functions(loaded.file.elf),
                    [root.fd for root in self._roots],
                    self._directory,
                    self._debuginfod,
                )

    def files(self) -> tuple[MappedFile, ...]:
        """Return the recording's files; the kernel is the last one."""
        user = [MappedFile(file.path, file.build_id) for file in self._files]
        return (*user, MappedFile(KERNEL, None))

    def frames(self, addresses: Iterable[int]) -> tuple[Frame, ...]:
        """Return a frame for each address, in order."""
        addresses = tuple(addresses)
        has_kernel = any(address >= FIRST_KERNEL_ADDRESS for address in addresses)
        return name_frames(
            addresses,
            self._locate,
            [self._names[id(file)] for file in self._files],
            self._kernel if has_kernel else None,
            len(self._files),
        )

    def path(self, address: int) -> str | None:
        """Return the path of what is, or was, mapped at an address."""
        loaded = self._code.at(address) or self._gone(address)
        return None if loaded is None else loaded.mapping.path

    def kernel_function(self, address: int) -> str | None:
        """Return the name of the kernel's function at an address, None when it shows no names."""
        symbol = None if self._kernel is None else self._kernel.lookup(address)
        return None if symbol is None else symbol.name

    def problems(self) -> tuple[str, ...]:
        """Return what could not be read while naming."""
        return tuple(problem for names in self._names.values() for problem in names.problems)

    @cached_property
    def _kernel(self) -> Kallsyms | None:
        return read_kallsyms()

    def _locate(self, address: int) -> FileAddress | None:
        loaded = self._code.at(address) or self._gone(address)
        if loaded is None or loaded.file is None or loaded.bias is None:
            return None
        number = self._numbers.get(id(loaded.file))
        return None if number is None else (number, address - loaded.bias)

    def _gone(self, address: int) -> LoadedCode | None:
        """Find code that was mapped earlier in the recording."""
        for (start, end), loaded in self._ranges.items():
            if start <= address < end:
                return loaded
        return None
