from __future__ import annotations

import lzma
import subprocess
from pathlib import Path

import pytest

from profiler.binary.elf import Elf
from profiler.binary.functions import functions
from profiler.names.symbolizer import Symbol, Symbolizer
from profiler.names.tables import table_sources
from tests.compiled import build, symbols_of

LIBRARY = """
__attribute__((noinline)) static int hidden(int x) { __asm__ volatile(""); return x * 7 + 1; }
__attribute__((noinline)) int shown(int x) { __asm__ volatile(""); return x * 5 + 2; }
__attribute__((noinline)) static int behind(int x) { __asm__ volatile(""); return x * 3 + 3; }
int (*volatile table[])(int) = {hidden, behind};
int entry(int x) { return table[x & 1](x) + shown(x); }
"""
ASSEMBLER = """
    .text
    .globl first
first:
    nop
    nop
second:
    nop
    .section .note.GNU-stack,"",@progbits
"""


def symbolizer(path: Path) -> Symbolizer:
    elf = Elf.from_bytes(path.read_bytes())
    return Symbolizer(elf, functions(elf), table_sources(elf, "/usr/lib/library.so"))


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return build(tmp_path, LIBRARY, "-shared", "-fPIC", "-O2", "-fno-toplevel-reorder")


def stripped(path: Path, *flags: str) -> Path:
    target = path.with_suffix(".stripped")
    subprocess.run(["strip", "-o", target, *flags, path], check=True)
    return target


def test_every_address_of_a_function_has_its_name(library: Path) -> None:
    names = symbolizer(library)
    for name in ("hidden", "shown", "behind", "entry"):
        start = symbols_of(library)[name]
        bounds = functions(Elf.from_bytes(library.read_bytes())).containing(start)
        assert bounds is not None
        for address in range(start, bounds[1]):
            assert names.lookup(address) == Symbol(name, start, "symtab")


def test_static_function_is_never_shown_under_its_neighbours_name(library: Path) -> None:
    truth = symbols_of(library)
    names = symbolizer(stripped(library))
    table = functions(Elf.from_bytes(library.read_bytes()))
    for name, exported in {"hidden": False, "shown": True, "behind": False, "entry": True}.items():
        start = truth[name]
        bounds = table.containing(start)
        assert bounds is not None and bounds[0] == start
        for address in range(start, bounds[1]):
            found = names.lookup(address)
            assert found == (Symbol(name, start, "dynsym") if exported else None)
            assert names.start(address) == start


def test_stubs_are_named_after_what_they_lead_to(library: Path) -> None:
    elf = Elf.from_bytes(library.read_bytes())
    section = elf.section(".plt.sec") or elf.section(".plt")
    assert section is not None
    last = section.address + section.size - section.entry_bytes
    expected = Symbol("shown@plt", last, "dynsym")
    for path in (library, stripped(library)):
        assert symbolizer(path).lookup(last) == expected
        assert symbolizer(path).lookup(last + 7) == expected


def test_versions_are_no_part_of_names(library: Path) -> None:
    start = symbols_of(library)["hidden"]
    renamed = "hidden=hidden@@GLIBC_2.34"  # as symbols are in debug files of the C library
    subprocess.run(["objcopy", "--redefine-sym", renamed, library], check=True)
    assert symbolizer(library).lookup(start) == Symbol("hidden", start, "symtab")


def test_symbol_without_size_reaches_to_the_next_one(tmp_path: Path) -> None:
    path = build(tmp_path, ASSEMBLER, "-shared", "-nostdlib", suffix=".s")
    names = symbolizer(path)
    text = Elf.from_bytes(path.read_bytes()).section(".text")
    assert text is not None
    found = [names.lookup(text.address + offset) for offset in range(3)]
    assert [symbol.name for symbol in found if symbol] == ["first", "first", "second"]


def test_symbol_without_size_does_not_name_the_function_behind_it(tmp_path: Path) -> None:
    body = "label:\n nop\n.globl g\n.type g,@function\n"
    function = ".cfi_startproc\n nop\n ret\n.cfi_endproc\n"
    source = f'.text\n{body}{function}.section .note.GNU-stack,"",@progbits\n'
    path = build(tmp_path, source, "-shared", "-nostdlib", suffix=".s")
    subprocess.run(["strip", "--keep-symbol=label", path], check=True)
    text = Elf.from_bytes(path.read_bytes()).section(".text")
    assert text is not None
    names = symbolizer(path)
    first = names.lookup(text.address)
    assert first is not None and first.name == "label"
    assert names.lookup(text.address + 1) is None


def test_best_alias_is_the_public_one_with_fewest_underscores(tmp_path: Path) -> None:
    source = """
    int __inner(void) { return 1; }
    int _outer(void) __attribute__((alias("__inner")));
    int zebra(void) __attribute__((weak, alias("__inner")));
    int lion(void) __attribute__((alias("__inner")));
    """
    path = build(tmp_path, source, "-shared", "-fPIC")
    found = symbolizer(path).lookup(symbols_of(path)["__inner"])
    assert found is not None and found.name == "lion"


def test_names_inside_gnu_debugdata_are_used(library: Path, tmp_path: Path) -> None:
    packed = tmp_path / "mini.xz"
    packed.write_bytes(lzma.compress(library.read_bytes()))
    target = stripped(library)
    subprocess.run(["objcopy", f"--add-section=.gnu_debugdata={packed}", target], check=True)
    start = symbols_of(library)["hidden"]
    assert symbolizer(target).lookup(start) == Symbol("hidden", start, "debugdata")


def test_damaged_gnu_debugdata_is_reported_and_passed_over(library: Path, tmp_path: Path) -> None:
    packed = tmp_path / "mini.xz"
    packed.write_bytes(lzma.compress(library.read_bytes())[:300])
    target = stripped(library)
    subprocess.run(["objcopy", f"--add-section=.gnu_debugdata={packed}", target], check=True)
    names = symbolizer(target)
    assert names.lookup(symbols_of(library)["hidden"]) is None
    shown = symbols_of(library)["shown"]
    assert names.lookup(shown) == Symbol("shown", shown, "dynsym")
    (problem,) = names.problems
    assert problem.startswith("debugdata: ")


def test_tables_are_asked_in_order_and_read_once(library: Path) -> None:
    elf = Elf.from_bytes(stripped(library).read_bytes())
    asked: list[str] = []
    sources = [(name, lambda name=name: asked.append(name)) for name in ("one", "two")]
    names = Symbolizer(elf, functions(elf), sources)
    for _ in range(2):
        names.lookup(symbols_of(library)["hidden"])
    assert asked == ["one", "two"]


def test_address_outside_the_code_has_no_name(library: Path) -> None:
    names = symbolizer(library)
    assert names.lookup(0) is None
    assert names.lookup((1 << 64) - 1) is None


def test_symbols_go_before_inferred_names(module: Path) -> None:
    start = symbols_of(module)["request_cb"]
    shown = symbolizer(module.with_suffix(".stripped")).lookup(start + 2)
    assert symbolizer(module).lookup(start + 2) == Symbol("request_cb", start, "symtab")
    assert shown == Symbol("~request_cb", start, "inferred")


def test_file_that_shrinks_is_a_problem_and_no_crash(module: Path) -> None:
    stripped = module.with_suffix(".stripped")
    with stripped.open("rb") as file:
        elf = Elf.from_fd(file.fileno())
        names = Symbolizer(elf, functions(elf), table_sources(elf, "/x"))
        stripped.write_bytes(stripped.read_bytes()[:4096])
        assert names.lookup(symbols_of(module)["silent_outer"]) is None
        assert names.problems


def test_static_program_is_named_by_its_symbols(tmp_path: Path) -> None:
    path = build(tmp_path, "int main(void) { return 0; }", "-static")
    start = symbols_of(path)["main"]
    assert symbolizer(path).lookup(start) == Symbol("main", start, "symtab")


def test_exported_size_reaches_over_a_second_frame_description(tmp_path: Path) -> None:
    part = ".cfi_startproc\n nop\n nop\n.cfi_endproc\n"
    head = ".text\n.globl clone\n.type clone,@function\nclone:\n"
    source = f"{head}{part}{part}.size clone,.-clone\n{part}"
    note = '.section .note.GNU-stack,"",@progbits\n'
    names = symbolizer(
        stripped(build(tmp_path, source + note, "-shared", "-nostdlib", suffix=".s"))
    )
    start = symbols_of(tmp_path / "program")["clone"]
    found = [names.lookup(start + offset) for offset in range(6)]
    assert found == [Symbol("clone", start, "dynsym")] * 4 + [None] * 2
