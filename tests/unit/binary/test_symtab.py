from __future__ import annotations

from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from profiler.binary.elf import Elf
from profiler.binary.symtab import SymbolTable, read_dynsym, read_symtab
from tests.compiled import build

BINDINGS = {"STB_LOCAL": 0, "STB_GLOBAL": 1, "STB_WEAK": 2, "STB_LOOS": 10}
TYPES = {
    "STT_NOTYPE": 0,
    "STT_OBJECT": 1,
    "STT_FUNC": 2,
    "STT_SECTION": 3,
    "STT_FILE": 4,
    "STT_COMMON": 5,
    "STT_TLS": 6,
    "STT_LOOS": 10,
}
SECTIONS = {"SHN_UNDEF": 0, "SHN_ABS": 0xFFF1, "SHN_COMMON": 0xFFF2}


def by_pyelftools(path: Path, section: str) -> list[tuple[str, int, int, int, int, int]]:
    with path.open("rb") as file:
        table = ELFFile(file).get_section_by_name(section)
        assert isinstance(table, SymbolTableSection)
        return [
            (
                symbol.name,
                symbol["st_value"],
                symbol["st_size"],
                TYPES[symbol["st_info"]["type"]],
                BINDINGS[symbol["st_info"]["bind"]],
                SECTIONS.get(symbol["st_shndx"], symbol["st_shndx"]),
            )
            for symbol in table.iter_symbols()
        ]


def by_us(table: SymbolTable) -> list[tuple[str, int, int, int, int, int]]:
    found = []
    for index in range(len(table)):
        symbol = table.symbol(index)
        kind, bind, section = table.type(index), table.bind(index), table.section(index)
        assert symbol.defined == (section != 0)
        found.append((symbol.name, symbol.value, symbol.size, kind, bind, section))
    return found


@pytest.mark.parametrize("path", ["/usr/bin/python3", "/bin/ls", "/lib/x86_64-linux-gnu/libc.so.6"])
def test_dynamic_symbols_equal_those_of_pyelftools(path: str) -> None:
    table = read_dynsym(Elf.from_bytes(Path(path).read_bytes()))
    assert table is not None
    assert by_us(table) == by_pyelftools(Path(path), ".dynsym")


def test_full_symbols_equal_those_of_pyelftools(tmp_path: Path) -> None:
    source = "static int f(int x) { return x; } int (*p)(int) = f; int main(void) { return p(0); }"
    path = build(tmp_path, source, "-g")
    table = read_symtab(Elf.from_bytes(path.read_bytes()))
    assert table is not None
    assert by_us(table) == by_pyelftools(path, ".symtab")


def test_stripped_file_has_no_full_symbols(tmp_path: Path) -> None:
    path = build(tmp_path, "int main(void) { return 0; }", "-s")
    assert read_symtab(Elf.from_bytes(path.read_bytes())) is None


def test_imports_are_found_by_no_name(tmp_path: Path) -> None:
    path = build(tmp_path, '#include <stdio.h>\nint main(void) { return puts(""); }')
    table = read_symtab(Elf.from_bytes(path.read_bytes()))
    assert table is not None
    assert table.find("puts@GLIBC_2.2.5") is None
    main = table.find("main")
    assert main is not None and main.defined


def test_functions_are_the_defined_ones(tmp_path: Path) -> None:
    source = "extern int puts(const char *); int v; int g(void) { return puts(0) + v; }"
    path = build(tmp_path, source, "-shared", "-fPIC", "-nostdlib")
    table = read_dynsym(Elf.from_bytes(path.read_bytes()))
    assert table is not None
    assert [table.name(index) for index in table.functions()] == ["g"]


def test_half_an_entry_at_the_end_is_ignored() -> None:
    entry = bytes([1, 0, 0, 0, 0x12, 0, 1, 0]) + bytes(16)
    table = SymbolTable(entry + entry[:20], b"\0name\0")
    assert len(table) == 1
    assert table.name(0) == "name"
