"""Names addresses of one ELF file from its symbol tables.

They are asked in this order, and a later one only where an earlier one is silent: a file from the
user's symbol directory, .symtab, a separate debug file, debuginfod, .gnu_debugdata (tables.py),
.dynsym. What none of them names may have an inferred name (inferred.py).

A symbol names [value, value + size): more than one frame description where assembler has several,
as `clone` does. One without size (assembler) reaches to the next symbol, and no further than the
frame description that it lies in; if exported (.dynsym), it names only the one that it starts.
In a stripped file the static functions behind an exported one have no symbol; to show them under
the name of their neighbour would be wrong, so they stay without name.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from profiler.binary.code_image import CodeImage
from profiler.binary.elf import SHF_EXECINSTR, Elf, ElfError
from profiler.binary.functions import FunctionTable
from profiler.binary.relocations import Imports, read_imports, slot_of_stub, stub_section
from profiler.binary.symtab import (
    STB_LOCAL,
    STB_WEAK,
    STT_FUNC,
    STT_GNU_IFUNC,
    STT_NOTYPE,
    SymbolTable,
    read_dynsym,
)
from profiler.names.demangle import demangle
from profiler.names.inferred import InferredNames
from profiler.names.tables import TableSource

MAX_ENCLOSING = 32  # symbols inside a symbol that are stepped over
MAX_SHOWN_NAME = 512
INFERRED = "inferred"


@dataclass(frozen=True, slots=True)
class Symbol:
    """The name of a function, where it starts inside its file, and which table said so."""

    name: str
    start: int
    origin: str  # as in recording.Frame.origin


class SymbolIndex:
    """The functions of one symbol table, sorted by address, one name for each address."""

    def __init__(self, table: SymbolTable, elf: Elf) -> None:
        """Index `table`; `elf` has the sections that the symbols lie in."""
        best: dict[int, int] = {}
        sizes: dict[int, int] = {}
        for index in _functions(table, elf):
            start = table.values[index]
            other = best.get(start)
            sizes[start] = max(sizes.get(start, 0), table.sizes[index])
            if other is None or _rank(table, index) < _rank(table, other):
                best[start] = index
        starts = sorted(best)
        self._table = table
        self._starts = array("Q", starts)
        self._sizes = array("Q", (sizes[start] for start in starts))
        self._names = array("L", (best[start] for start in starts))
        self._ranges = _code_ranges(elf)

    def __len__(self) -> int:
        return len(self._starts)

    def covering(self, address: int, function_start: int | None) -> tuple[str, int] | None:
        """Return (name, start) of the innermost symbol whose range holds `address`.

        `function_start` is the start of the frame description there; a symbol without size that
        lies before it belongs to another function.
        """
        last = bisect_right(self._starts, address) - 1
        for index in range(last, max(last - MAX_ENCLOSING, -1), -1):
            start, size = self._starts[index], self._sizes[index]
            if address - start < size:
                return self._name(index), start
            same_function = function_start is None or start >= function_start
            if not size and index == last and same_function and self._same_range(start, address):
                return self._name(index), start
        return None

    def _same_range(self, start: int, address: int) -> bool:
        return any(low <= start <= address < high for low, high in self._ranges)

    def _name(self, index: int) -> str:
        name = self._table.name(self._names[index]).partition("@")[0]  # without a version
        return demangle(name)[:MAX_SHOWN_NAME]


class Symbolizer:
    """Names addresses of one file. Every table is read when it is first needed, at most once."""

    def __init__(
        self, elf: Elf, functions: FunctionTable, sources: Iterable[TableSource] = ()
    ) -> None:
        """Name `elf` by `sources`, and by what it exports and passes."""
        self._elf = elf
        self._functions = functions
        self._pending = iter(sources)
        self._indices: list[tuple[str, SymbolIndex]] = []
        self.problems: set[str] = set()  # what could not be read, so far

    def start(self, address: int) -> int | None:
        """Return the start of the function around `address` by its frame description."""
        bounds = self._functions.containing(address)
        return None if bounds is None else bounds[0]

    def lookup(self, address: int) -> Symbol | None:
        """Return the symbol of the function that holds `address`, None when nothing names it."""
        start = self.start(address)
        try:
            for origin, index in self._tables():
                found = index.covering(address, start)
                if found is not None:
                    return Symbol(found[0], found[1], origin)
            return self._exported(address, start) or self._stub(address) or self._infer(start)
        except ElfError as error:
            self.problems.add(error.message)
            return None

    def _tables(self) -> Iterator[tuple[str, SymbolIndex]]:
        yield from self._indices
        for origin, read in self._pending:
            try:
                table = read()
            except ElfError as error:
                self.problems.add(f"{origin}: {error.message}")
                continue
            if table is not None:
                self._indices.append((origin, SymbolIndex(table, self._elf)))
                yield self._indices[-1]

    def _exported(self, address: int, start: int | None) -> Symbol | None:
        if self._exports is None:
            return None
        place = address if start is None else start
        found = self._exports.covering(place, place)
        return None if found is None else Symbol(found[0], found[1], "dynsym")

    def _stub(self, address: int) -> Symbol | None:
        """Name a procedure linkage stub after the function that it jumps to, as objdump does."""
        section = stub_section(self._elf, address)
        if section is None:
            return None
        start = address - (address - section.address) % max(section.entry_bytes, 8)
        slot = slot_of_stub(self._elf, start)
        target = None if slot is None else self._imports.symbols.get(slot)
        return None if target is None else Symbol(f"{target.name}@plt", start, "dynsym")

    def _infer(self, start: int | None) -> Symbol | None:
        name = None if start is None else self._inferred.name(start)
        return None if start is None or name is None else Symbol(name, start, INFERRED)

    @cached_property
    def _inferred(self) -> InferredNames:
        return InferredNames(CodeImage(self._elf, self._functions))

    @cached_property
    def _exports(self) -> SymbolIndex | None:
        try:
            table = read_dynsym(self._elf)
        except ElfError as error:
            self.problems.add(f"dynsym: {error.message}")
            return None
        return None if table is None else SymbolIndex(table, self._elf)

    @cached_property
    def _imports(self) -> Imports:
        return read_imports(self._elf)


def _functions(table: SymbolTable, elf: Elf) -> Iterator[int]:
    sections = elf.sections
    for index in range(len(table)):
        section = table.section(index)
        if not section:
            continue
        kind = table.type(index)
        code = section < len(sections) and sections[section].flags & SHF_EXECINSTR
        if kind in (STT_FUNC, STT_GNU_IFUNC) or (kind == STT_NOTYPE and code and table.name(index)):
            yield index


def _code_ranges(elf: Elf) -> tuple[tuple[int, int], ...]:
    """Return [start, end) of the executable sections, or segments when there are no sections."""
    sections = (s for s in elf.sections if s.flags & SHF_EXECINSTR)
    return tuple((s.address, s.address + s.size) for s in sections) or elf.code_ranges


def _rank(table: SymbolTable, index: int) -> tuple[bool, bool, int, bool, int, str]:
    """Order of aliases, best first: typed, visible outside, fewest underscores, strong, short."""
    name = table.name(index)
    bind = table.bind(index)
    return (
        table.type(index) == STT_NOTYPE,
        bind == STB_LOCAL,
        len(name) - len(name.lstrip("_")),
        bind == STB_WEAK,
        len(name),
        name,
    )
