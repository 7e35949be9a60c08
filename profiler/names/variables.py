"""Names of global variables, from the symbol tables of one file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from profiler.binary.elf import ElfError
from profiler.binary.symtab import STT_OBJECT, SymbolTable
from profiler.names.symbolizer import MAX_SHOWN_NAME
from profiler.names.tables import TableSource

_MOST_OFFSET = 1 << 32


class Variables:
    """The variables of one file by address. Tables are read when the first is asked for."""

    def __init__(self, sources: Iterable[TableSource]) -> None:
        self._sources = tuple(sources)
        self._tables: list[tuple[SymbolTable, list[tuple[int, int]]]] | None = None

    def name(self, address: int) -> str | None:
        """Return the variable that an address is in, "name" or "name+0x10"; None: none is known."""
        if self._tables is None:
            self._tables = list(filter(None, map(_indexed, self._sources)))
        for table, starts in self._tables:
            at = bisect_right(starts, (address, _MOST_OFFSET)) - 1
            if at < 0:
                continue
            start, index = starts[at]
            if address - start < max(table.sizes[index], 1):
                name = table.name(index)[:MAX_SHOWN_NAME]
                return name if address == start else f"{name}+{address - start:#x}"
        return None


def _indexed(source: TableSource) -> tuple[SymbolTable, list[tuple[int, int]]] | None:
    """Return a table, and the address and index of each variable that it has, ascending."""
    try:
        table = source[1]()
    except ElfError:
        return None
    if table is None:
        return None
    found = (index for index in range(len(table)) if table.type(index) == STT_OBJECT)
    return table, sorted((table.values[index], index) for index in found if table.section(index))
