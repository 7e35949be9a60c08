"""The code of one ELF file as functions and decoded instructions, stripped or not.

Function borders come from the frame description entries; a function that the compiler split in two
has an entry for each part, and each part counts as a function here.
"""

from __future__ import annotations

from dataclasses import dataclass

from profiler.binary.elf import Elf
from profiler.binary.functions import FunctionTable
from profiler.binary.instructions import DecodeError, Instruction, decode_all
from profiler.binary.relocations import Imports, read_imports, slot_of_stub
from profiler.binary.symtab import SymbolTable, read_dynsym

MAX_FUNCTION_BYTES = 1 << 17  # larger ones are not looked into; asterisk 22's largest has 33 KB
MAX_DECODED_BYTES = 8 << 20  # of one file; what is beyond counts as undecodable


@dataclass(frozen=True, slots=True)
class Function:
    """A contiguous piece of code [start, end), addresses inside the file."""

    start: int
    end: int
    file_offset: int
    code: bytes


class CodeImage:
    """Functions, instructions and call targets of one ELF file."""

    def __init__(self, elf: Elf, functions: FunctionTable) -> None:
        self.elf = elf
        self._functions = functions
        self._dynsym: SymbolTable | None = read_dynsym(elf)
        self.imports: Imports = read_imports(elf, self._dynsym)
        self._left_bytes = MAX_DECODED_BYTES
        self._decoded: dict[int, tuple[Instruction, ...] | None] = {}

    def exported(self, name: str) -> int | None:
        """Return the address of a function that this file exports."""
        symbol = self._dynsym.find(name) if self._dynsym else None
        return symbol.value if symbol else None

    def function(self, address: int) -> Function | None:
        """Return the function that holds the address; None if no frame description does."""
        extent = self._functions.containing(address)
        if extent is None:
            return None
        start, end = extent
        offset = self.elf.offset_of(start)
        if offset is None or not 0 < end - start <= MAX_FUNCTION_BYTES:
            return None
        code = self.elf.read_at(start, end - start)
        return None if code is None else Function(start, end, offset, code)

    def instructions(self, function: Function) -> tuple[Instruction, ...] | None:
        """Return all instructions, kept; None for bytes that are none, or too much code."""
        if function.start not in self._decoded:
            self._decoded[function.start] = self.decode(function)
        return self._decoded[function.start]

    def decode(self, function: Function) -> tuple[Instruction, ...] | None:
        """Return the same and forget it: all of asterisk's would take hundreds of megabytes."""
        self._left_bytes -= len(function.code)
        if self._left_bytes < 0:
            return None
        try:
            return tuple(decode_all(function.code, function.start))
        except DecodeError:
            return None

    def is_stub(self, address: int) -> bool:
        """Return whether a procedure linkage stub lies there."""
        return slot_of_stub(self.elf, address) is not None

    def pointer_at(self, slot: int) -> int | None:
        """Return the address inside this file that a data word will hold once loaded.

        None when it holds none, or one of another file. Relocated words of position-independent
        files are known by their relocation, others by the file's bytes.
        """
        if slot in self.imports.pointers:
            return self.imports.pointers[slot]
        symbol = self.imports.symbols.get(slot)
        if symbol is not None:
            return symbol.value if symbol.defined else None
        word = self.elf.read_at(slot, 8)
        return int.from_bytes(word, "little") if word else None

    def destination(self, target: int) -> int | None:
        """Return where a call or jump to `target` ends up: through a linkage stub if it is one.

        None when the stub leads out of this file.
        """
        slot = slot_of_stub(self.elf, target)
        if slot is None:
            return target
        symbol = self.imports.symbols.get(slot)
        if symbol is not None:
            return symbol.value if symbol.defined else None
        return self.imports.pointers.get(slot, target)
