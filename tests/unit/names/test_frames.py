from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from profiler.binary.debug_files import SymbolDirectory
from profiler.binary.elf import Elf
from profiler.binary.functions import functions
from profiler.binary.symtab import read_dynsym
from profiler.model.recording import Frame, MappedFile
from profiler.names.frames import FileNames, name_frames, rename
from profiler.names.kallsyms import parse_kallsyms
from profiler.names.symbolizer import Symbol
from tests.compiled import build, symbols_of
from tests.examples import recording as example_recording

SOURCES = Path(__file__).parents[1] / "inference"
BUILD_ID = "00112233445566778899aabbccddeeff00112233"
LOADED_AT = 0x7F0000000000


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """An Asterisk-like module with symbols; `module.stripped` lies beside it."""
    path = tmp_path / "module.so"
    flags = ("-shared", "-fPIC", "-O2", f"-Wl,--build-id=0x{BUILD_ID}")
    subprocess.run(["gcc", "-o", path, SOURCES / "module.c", *flags], check=True)
    subprocess.run(["strip", "-o", path.with_suffix(".stripped"), path], check=True)
    return path


def names_of(path: Path, directory: SymbolDirectory | None = None) -> FileNames:
    elf = Elf.from_bytes(path.read_bytes())
    return FileNames(elf, "/usr/lib/module.so", functions(elf), directory=directory)


def test_symbols_go_before_inferred_names(module: Path) -> None:
    start = symbols_of(module)["request_cb"]
    stripped = names_of(module.with_suffix(".stripped"))
    assert names_of(module).lookup(start + 2) == Symbol("request_cb", start, "symtab")
    assert stripped.lookup(start + 2) == Symbol("~request_cb", start, "inferred")


def test_symbol_directory_goes_before_everything(module: Path, tmp_path: Path) -> None:
    start = symbols_of(module)["silent_outer"]
    names = names_of(module.with_suffix(".stripped"), SymbolDirectory(tmp_path))
    assert names.lookup(start) == Symbol("silent_outer", start, "debugfile")


def test_vdso_says_so() -> None:
    data = Path("/lib64/ld-linux-x86-64.so.2").read_bytes()
    elf = Elf.from_bytes(data)
    table = read_dynsym(elf)
    exported = table.find("__tls_get_addr") if table else None
    assert exported is not None
    found = FileNames(elf, "[vdso]", functions(elf)).lookup(exported.value)
    assert found == Symbol("__tls_get_addr", exported.value, "vdso")


def test_frames_come_in_order_with_file_offset_and_start(module: Path) -> None:
    symbols = symbols_of(module)
    named, unnamed = symbols["request_cb"] + 3, symbols["silent_outer"] + 5
    kernel = parse_kallsyms(b"ffffffff81000000 T do_syscall_64\n")

    def locate(address: int) -> tuple[int, int] | None:
        return (1, address - LOADED_AT) if address >= LOADED_AT else None

    frames = name_frames(
        [LOADED_AT + unnamed, 0xFFFFFFFF81000004, 0x10, LOADED_AT + named],
        locate,
        [None, names_of(module.with_suffix(".stripped"))],
        kernel,
        kernel_file=0,
    )
    assert frames == (
        Frame(LOADED_AT + unnamed, 1, unnamed, symbols["silent_outer"], None, None),
        Frame(0xFFFFFFFF81000004, 0, None, None, "do_syscall_64", "kallsyms"),
        Frame(0x10, None, None, None, None, None),
        Frame(LOADED_AT + named, 1, named, symbols["request_cb"], "~request_cb", "inferred"),
    )


def test_kernel_frame_without_names_keeps_its_address() -> None:
    address = 0xFFFFFFFF81000004
    frames = name_frames([address], lambda _: None, [])
    assert frames == (Frame(address, None, None, None, None, None),)


def test_file_that_cannot_be_read_leaves_frames_unnamed() -> None:
    frames = name_frames([0x1234], lambda _: (0, 0x34), [None])
    assert frames == (Frame(0x1234, 0, 0x34, None, None, None),)


def test_names_are_added_later_by_build_id_and_offset(module: Path, tmp_path: Path) -> None:
    symbols = symbols_of(module)
    inferred = Frame(1, 0, symbols["request_cb"] + 3, symbols["request_cb"], "~x", "inferred")
    unnamed = Frame(2, 0, symbols["silent_outer"] + 5, symbols["silent_outer"], None, None)
    sure = Frame(3, 0, symbols["load_module"], symbols["load_module"], "kept", "dynsym")
    elsewhere = Frame(4, 1, symbols["request_cb"], None, None, None)
    nowhere = Frame(5, None, None, None, None, None)
    before = replace(
        example_recording(),
        files=(MappedFile("/usr/lib/module.so", BUILD_ID), MappedFile("/other", "ab" * 20)),
        frames=(inferred, unnamed, sure, elsewhere, nowhere),
    )
    after = rename(before, [SymbolDirectory(tmp_path / "empty"), SymbolDirectory(tmp_path)])
    assert after.frames == (
        replace(inferred, symbol="request_cb", origin="debugfile"),
        replace(unnamed, symbol="silent_outer", origin="debugfile"),
        sure,
        elsewhere,
        nowhere,
    )
    assert replace(after, frames=before.frames) == before
    assert rename(before, [SymbolDirectory(tmp_path / "empty")]) == before


def test_stripped_file_in_the_directory_changes_nothing(module: Path, tmp_path: Path) -> None:
    only = tmp_path / "only"
    only.mkdir()
    module.with_suffix(".stripped").rename(only / "module.so")
    before = replace(
        example_recording(),
        files=(MappedFile("/usr/lib/module.so", BUILD_ID),),
        frames=(Frame(1, 0, symbols_of(module)["silent_outer"], None, None, None),),
    )
    assert rename(before, [SymbolDirectory(only)]) == before


def test_file_that_shrinks_is_a_problem_and_no_crash(module: Path) -> None:
    stripped = module.with_suffix(".stripped")
    with stripped.open("rb") as file:
        elf = Elf.from_fd(file.fileno())
        names = FileNames(elf, "/x", functions(elf))
        stripped.write_bytes(stripped.read_bytes()[:4096])
        assert names.lookup(symbols_of(module)["silent_outer"]) is None
        assert names.problems


def test_static_program_is_named_by_its_symbols(tmp_path: Path) -> None:
    path = build(tmp_path, "int main(void) { return 0; }", "-static")
    start = symbols_of(path)["main"]
    assert names_of(path).lookup(start) == Symbol("main", start, "symtab")
