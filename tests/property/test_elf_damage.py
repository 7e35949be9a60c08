"""Damaged ELF files: every reader answers or raises ElfError, within bounds."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from profiler.binary.code_image import CodeImage
from profiler.binary.elf import Elf, ElfError
from profiler.binary.functions import FunctionTable
from profiler.binary.relocations import read_imports
from profiler.binary.symtab import read_dynsym, read_symtab
from profiler.names.symbolizer import Symbolizer
from profiler.names.tables import read_debugdata, table_sources
from tests.compiled import build

SOURCE = """
#include <stdio.h>
static int twice(int x) { return 2 * x; }
int (*volatile pointer)(int) = twice;
int main(void) { puts("hello"); return pointer(0); }
"""
HEADER_BYTES = 64
NO_FUNCTIONS = FunctionTable(array("Q"), array("Q"))
RELAXED = settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("damage")
    return build(folder, SOURCE, "-O1", "-Wl,-z,pack-relative-relocs").read_bytes()


def survive(data: bytes) -> None:
    """Read everything that there is."""
    try:
        elf = Elf.from_bytes(data)
    except ElfError as error:
        assert error.message
        return
    for read in (
        lambda: elf.build_id,
        lambda: elf.debuglink,
        lambda: elf.eh_frame,
        lambda: elf.eh_frame_hdr,
        lambda: elf.dynamic,
        lambda: [elf.data(section) for section in elf.sections],
        lambda: [len(table) and table.symbol(0) for table in [read_symtab(elf)] if table],
        lambda: [list(table.functions()) for table in [read_dynsym(elf)] if table],
        lambda: read_imports(elf),
        lambda: read_debugdata(elf),
        lambda: Symbolizer(elf, NO_FUNCTIONS, table_sources(elf, "/x")).lookup(0x1000),
        lambda: CodeImage(elf, NO_FUNCTIONS).exported("main"),
    ):
        try:
            read()
        except ElfError as error:
            assert error.message


@RELAXED
@given(st.data())
def test_overwritten_bytes_are_survived(contents: bytes, data: st.DataObject) -> None:
    damaged = bytearray(contents)
    # Half of the damage goes where the structure is: headers at both ends of the file.
    place = st.one_of(
        st.integers(0, HEADER_BYTES + 13 * 56),
        st.integers(len(contents) - 32 * 64, len(contents) - 1),
        st.integers(0, len(contents) - 1),
    )
    for _ in range(data.draw(st.integers(1, 8))):
        start = data.draw(place)
        value = data.draw(st.sampled_from([b"\xff" * 8, b"\0" * 8, b"\x7f", b"\x80\0\0\0"]))
        damaged[start : start + len(value)] = value
    survive(bytes(damaged))


@RELAXED
@given(st.integers(0, 20_000))
def test_cut_files_are_survived(contents: bytes, size: int) -> None:
    survive(contents[:size])


@RELAXED
@given(st.binary(max_size=400))
def test_any_bytes_behind_a_good_ident_are_survived(tail: bytes) -> None:
    survive(b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\x00\x3e\x00" + tail)
