"""Global variables of a small library, with and without its symbol table."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from profiler.binary.elf import Elf, ElfError
from profiler.binary.symtab import SymbolTable, read_dynsym, read_symtab
from profiler.names.variables import Variables
from tests.compiled import build
from tests.mapped_files import LOADED_AT, session_of

SOURCE = """
static int inner[4] = {1, 2, 3, 4};
int outer[8];
int *f(void) { outer[0]++; return &inner[1]; }
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("variables"), SOURCE, "-shared", "-fPIC")


def symbols_of(path: Path) -> dict[str, int]:
    table = read_symtab(elf_of(path))
    assert table is not None
    return {table.name(index): table.values[index] for index in range(len(table))}


def elf_of(path: Path) -> Elf:
    return Elf.from_bytes(path.read_bytes())


def test_names_and_places_in_variables(library: Path) -> None:
    elf, symbols = elf_of(library), symbols_of(library)
    variables = Variables((("symtab", lambda: read_symtab(elf)),))
    inner, outer = symbols["inner"], symbols["outer"]
    assert [variables.name(at) for at in (inner, inner + 8, inner + 15)] == [
        "inner",
        "inner+0x8",
        "inner+0xf",
    ]
    assert variables.name(outer + 31) == "outer+0x1f"
    assert variables.name(outer + 32) != "outer+0x20"
    assert variables.name(symbols["f"]) is None
    assert variables.name(0) is None


def test_a_later_table_is_asked_where_an_earlier_one_is_silent(library: Path) -> None:
    elf, symbols = elf_of(library), symbols_of(library)

    def broken() -> SymbolTable | None:
        raise ElfError("it is damaged")

    sources = (
        ("debugfile", broken),
        ("debugdata", lambda: None),
        ("dynsym", lambda: read_dynsym(elf)),
        ("symtab", lambda: read_symtab(elf)),
    )
    variables = Variables(sources)
    assert variables.name(symbols["outer"]) == "outer"
    assert variables.name(symbols["inner"]) == "inner"


def test_a_session_names_what_is_mapped(library: Path) -> None:
    symbols = symbols_of(library)
    session = session_of(elf_of(library), "/usr/lib/variables.so")
    assert session.variable(LOADED_AT + symbols["outer"] + 4) == "variables.so: outer+0x4"
    beyond = symbols["outer"] + 32
    assert session.variable(LOADED_AT + beyond) in (None, f"variables.so+{beyond:#x}")
    assert session.variable(LOADED_AT + symbols["f"]) is None
    assert session.variable(0x10) is None


def test_a_stripped_file_tells_its_place(library: Path, tmp_path: Path) -> None:
    stripped = tmp_path / "stripped.so"
    subprocess.run(["strip", "-o", stripped, library], check=True)
    inner = symbols_of(library)["inner"]
    session = session_of(elf_of(stripped), "/usr/lib/variables.so")
    assert session.variable(LOADED_AT + inner) == f"variables.so+{inner:#x}"
