from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

from profiler.binary.elf import Elf
from profiler.binary.relocations import read_imports, slot_of_stub
from tests.compiled import build, symbols_of
from tests.unit.binary.test_elf import without_sections

SOURCE = """
#include <stdio.h>
#include <stdlib.h>
static int twice(int x) { return 2 * x; }
static int thrice(int x) { return 3 * x; }
int (*volatile pointers[])(int) = {twice, thrice};
int main(void) { puts("hello"); return pointers[0](rand()); }
"""


@pytest.mark.parametrize("path", ["/usr/bin/python3", "/bin/ls", "/lib/x86_64-linux-gnu/libc.so.6"])
def test_slots_equal_those_of_pyelftools(path: str) -> None:
    symbols, pointers = {}, {}
    with Path(path).open("rb") as file:
        elf = ELFFile(file)
        for section in elf.iter_sections():
            if not isinstance(section, RelocationSection):
                continue
            names: Any = elf.get_section(section["sh_link"])
            for entry in section.iter_relocations():
                kind, slot = entry["r_info_type"], entry["r_offset"]
                if kind == 8:
                    pointers[slot] = entry["r_addend"]
                elif kind in (1, 6, 7) and not entry["r_addend"]:
                    symbols[slot] = names.get_symbol(entry["r_info_sym"]).name
    found = read_imports(Elf.from_bytes(Path(path).read_bytes()))
    assert {slot: symbol.name for slot, symbol in found.symbols.items()} == symbols
    # Those in .relr.dyn are known to us only.
    assert pointers.items() <= found.pointers.items()


@pytest.mark.parametrize("flag", ["-Wl,-z,nopack-relative-relocs", "-Wl,-z,pack-relative-relocs"])
def test_function_pointers_in_data_are_found(tmp_path: Path, flag: str) -> None:
    path = build(tmp_path, SOURCE, "-O1", "-fPIE", "-pie", flag)
    symbols = symbols_of(path)
    pointers = set(read_imports(Elf.from_bytes(path.read_bytes())).pointers.values())
    assert {symbols["twice"], symbols["thrice"]} <= pointers


def test_sections_are_not_needed(tmp_path: Path) -> None:
    data = build(tmp_path, SOURCE).read_bytes()
    whole = read_imports(Elf.from_bytes(data))
    cut = read_imports(Elf.from_bytes(without_sections(data)))
    assert whole.symbols and {s: v.name for s, v in whole.symbols.items()} == {
        s: v.name for s, v in cut.symbols.items()
    }
    assert cut.pointers == whole.pointers


@pytest.mark.parametrize(
    "flags",
    [
        ("-Wl,-z,lazy",),
        ("-Wl,-z,now",),
        ("-fcf-protection", "-Wl,-z,ibtplt"),
        ("-no-pie", "-fno-pie"),
    ],
)
def test_linkage_stubs_lead_to_the_names_that_objdump_shows(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    path = build(tmp_path, SOURCE, "-O1", *flags)
    shown = subprocess.run(["objdump", "-d", path], check=True, capture_output=True, text=True)
    stubs = {
        int(address, 16): name
        for address, name in re.findall(r"^([0-9a-f]+) <(\w+)@plt>:", shown.stdout, re.MULTILINE)
    }
    assert {"puts", "rand"} <= set(stubs.values())
    elf = Elf.from_bytes(path.read_bytes())
    imports = read_imports(elf)
    for address, name in stubs.items():
        slot = slot_of_stub(elf, address)
        assert slot is not None
        if name != "__cxa_finalize" or slot in imports.symbols:
            assert imports.symbols[slot].name == name


def test_ordinary_function_is_no_stub(tmp_path: Path) -> None:
    path = build(tmp_path, SOURCE)
    elf = Elf.from_bytes(path.read_bytes())
    assert slot_of_stub(elf, symbols_of(path)["main"]) is None
    assert slot_of_stub(elf, 0) is None
