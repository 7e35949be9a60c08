"""Our reader beside pyelftools, and on files that are damaged or cut down."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection

from profiler.binary.elf import SHT_NOBITS, Elf, ElfError, string_at
from profiler.binary.symtab import read_dynsym
from tests.compiled import build

SYSTEM_FILES = (
    "/usr/bin/python3",
    "/bin/ls",
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/lib64/ld-linux-x86-64.so.2",
)
SOURCE = """
#include <stdio.h>
static int twice(int x) { return 2 * x; }
int (*volatile pointer)(int) = twice;
int main(void) { puts("hello"); return pointer(0); }
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    flags = ("-g", "-O1", "-Wl,--build-id=0x0123456789abcdef")
    return build(tmp_path_factory.mktemp("elf"), SOURCE, *flags)


def without_sections(data: bytes) -> bytes:
    """Return the file as sstrip leaves it: no section headers, e_shoff and e_shnum zero."""
    (shoff,) = struct.unpack_from("<Q", data, 0x28)
    kept = bytearray(data[:shoff])
    struct.pack_into("<Q", kept, 0x28, 0)
    struct.pack_into("<HHH", kept, 0x3A, 0, 0, 0)
    return bytes(kept)


@pytest.mark.parametrize("path", SYSTEM_FILES)
def test_headers_equal_those_of_pyelftools(path: str) -> None:
    with Path(path).open("rb") as file:
        other = ELFFile(file)
        elf = Elf.from_fd(file.fileno())
        assert [
            (s.name, s.address, s.offset, s.size, s.link, s.entry_bytes) for s in elf.sections
        ] == [
            (s.name, s["sh_addr"], s["sh_offset"], s["sh_size"], s["sh_link"], s["sh_entsize"])
            for s in other.iter_sections()
        ]
        assert [(s.offset, s.address, s.file_bytes, s.align, s.flags) for s in elf.segments] == [
            (s["p_offset"], s["p_vaddr"], s["p_filesz"], s["p_align"], s["p_flags"])
            for s in other.iter_segments()
        ]
        for section in other.iter_sections():
            if section["sh_type"] != "SHT_NOBITS" and section.name:
                found = elf.section(section.name)
                assert found is not None
                assert elf.data(found) == section.data()


@pytest.mark.parametrize("path", SYSTEM_FILES)
def test_build_id_equals_that_of_pyelftools(path: str) -> None:
    with Path(path).open("rb") as file:
        notes = [
            note["n_desc"]
            for section in ELFFile(file).iter_sections()
            if isinstance(section, NoteSection)
            for note in section.iter_notes()
            if note["n_type"] == "NT_GNU_BUILD_ID"
        ]
        assert Elf.from_fd(file.fileno()).build_id == (notes[0] if notes else None)


def test_file_without_section_headers_is_read_by_its_segments(program: Path) -> None:
    whole = Elf.from_bytes(program.read_bytes())
    cut = Elf.from_bytes(without_sections(program.read_bytes()))
    assert cut.sections == ()
    assert cut.build_id == whole.build_id
    assert cut.eh_frame_hdr == whole.eh_frame_hdr
    assert cut.eh_frame is not None and whole.eh_frame is not None
    assert cut.eh_frame[0] == whole.eh_frame[0]
    assert cut.eh_frame[1].startswith(whole.eh_frame[1])
    symbols, others = read_dynsym(cut), read_dynsym(whole)
    assert symbols is not None and others is not None
    assert [symbols.symbol(i) for i in range(len(symbols))] == [
        others.symbol(i) for i in range(len(others))
    ]


@pytest.mark.parametrize("style", ["gnu", "sysv"])
def test_dynamic_symbols_are_counted_by_either_hash_table(tmp_path: Path, style: str) -> None:
    source = "int one(void) { return 1; } int two(void) { return 2; } extern int x; int *p = &x;"
    path = build(tmp_path, source, "-shared", "-fPIC", f"-Wl,--hash-style={style}")
    whole = read_dynsym(Elf.from_bytes(path.read_bytes()))
    cut = read_dynsym(Elf.from_bytes(without_sections(path.read_bytes())))
    assert whole is not None and cut is not None
    assert len(cut) == len(whole)
    one = cut.find("one")
    assert one is not None and one == whole.find("one")


def test_addresses_and_offsets_lead_to_the_same_bytes(program: Path) -> None:
    data = program.read_bytes()
    elf = Elf.from_bytes(data)
    for segment in elf.loads:
        for address in (segment.address, segment.address + segment.file_bytes - 1):
            offset = elf.offset_of(address)
            assert offset is not None
            assert elf.read_at(address, 1) == data[offset : offset + 1]
    text = elf.section(".text")
    assert text is not None
    assert any(start <= text.address < end for start, end in elf.code_ranges)


def test_bytes_beyond_the_segment_are_not_there(program: Path) -> None:
    elf = Elf.from_bytes(program.read_bytes())
    last = elf.loads[-1]
    end = last.address + last.file_bytes
    assert elf.offset_of(end) is None
    assert elf.read_at(end - 4, 4) is not None
    assert elf.read_at(end - 4, 5) is None
    assert elf.read_at(end - 4, -1) is None
    assert elf.file_bytes_from(end - 4) == 4


def test_debug_link_is_the_one_that_objcopy_wrote(program: Path, tmp_path: Path) -> None:
    debug, linked = tmp_path / "program.debug", tmp_path / "linked"
    subprocess.run(["objcopy", "--only-keep-debug", program, debug], check=True)
    subprocess.run(["objcopy", "-g", f"--add-gnu-debuglink={debug}", program, linked], check=True)
    link = Elf.from_bytes(linked.read_bytes()).debuglink
    assert link is not None
    assert link.name == "program.debug"
    assert Elf.from_bytes(program.read_bytes()).debuglink is None
    text = Elf.from_bytes(debug.read_bytes()).section(".text")
    assert text is not None and text.type == SHT_NOBITS


def test_debug_link_that_leads_to_another_directory_is_ignored(
    program: Path, tmp_path: Path
) -> None:
    debug, linked = tmp_path / "program.debug", tmp_path / "linked"
    debug.write_bytes(b"x")
    subprocess.run(["objcopy", f"--add-gnu-debuglink={debug}", program, linked], check=True)
    hostile = linked.read_bytes().replace(b"program.debug\0", b"../.am.debug\0\0")
    assert Elf.from_bytes(hostile).debuglink is None


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (0, b"\x7fELG", "not an ELF64"),
        (4, b"\x01", "not an ELF64"),
        (5, b"\x02", "not an ELF64"),
        (0x12, b"\xb7\x00", "another machine"),
        (0x36, b"\x20\x00", "program headers"),
        (0x38, b"\xfe\xff", "program headers"),
        (0x20, b"\xff" * 7, "beyond the end"),
    ],
)
def test_damaged_header_is_an_error_that_says_why(
    program: Path, offset: int, value: bytes, message: str
) -> None:
    data = bytearray(program.read_bytes())
    data[offset : offset + len(value)] = value
    with pytest.raises(ElfError, match=message):
        Elf.from_bytes(bytes(data))


@pytest.mark.parametrize("size", [0, 1, 63])
def test_file_shorter_than_its_header_is_an_error(program: Path, size: int) -> None:
    with pytest.raises(ElfError, match="beyond the end"):
        Elf.from_bytes(program.read_bytes()[:size])


def test_file_that_shrinks_while_it_is_read_is_an_error(program: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.write_bytes(program.read_bytes())
    with copy.open("rb") as file:
        elf = Elf.from_fd(file.fileno())
        section = elf.section(".text")
        assert section is not None
        os.truncate(copy, section.offset + 1)
        with pytest.raises(ElfError, match="shrank"):
            elf.data(section)


def test_pipe_is_no_file_to_read(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    try:
        with pytest.raises(ElfError, match="not a regular file"):
            Elf.from_fd(read_end)
    finally:
        os.close(read_end)
        os.close(write_end)


def test_names_cannot_carry_terminal_sequences() -> None:
    assert string_at(b"\0plain\0\x1b[2Jx\0", 1) == "plain"
    assert string_at(b"\0plain\0\x1b[2Jx\0", 7) == "\\x1b[2Jx"
    assert string_at(b"\0\xff\n\0", 1) == "\\xff\\n"
    assert string_at(b"\0abc", 2) == "bc"
    assert string_at(b"\0abc", 99) == ""
