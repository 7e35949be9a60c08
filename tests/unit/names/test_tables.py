from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from profiler.binary.debug_files import SymbolDirectory
from profiler.binary.elf import Elf
from profiler.names.tables import table_sources


def origins(path: Path, **where: Any) -> list[tuple[str, bool]]:
    """Return (origin, whether it has a table) of all that can name a file."""
    elf = Elf.from_bytes(path.read_bytes())
    sources = table_sources(elf, "/usr/lib/module.so", **where)
    return [(origin, read() is not None) for origin, read in sources]


def test_symbol_directory_goes_before_everything(module: Path, tmp_path: Path) -> None:
    directory = SymbolDirectory(tmp_path)
    found = [("debugfile", True), ("symtab", False), ("debugdata", False)]
    assert origins(module.with_suffix(".stripped"), directory=directory) == found
    empty = SymbolDirectory(tmp_path / "empty")
    assert origins(module.with_suffix(".stripped"), directory=empty) == found[1:]


def test_servers_are_asked_only_for_files_without_symbols(module: Path) -> None:
    asked: list[str] = []
    servers = SimpleNamespace(find=asked.append)
    assert origins(module, debuginfod=servers) == [("symtab", True), ("debugdata", False)]
    assert asked == []
    assert ("debuginfod", False) in origins(module.with_suffix(".stripped"), debuginfod=servers)
    assert len(asked) == 1
