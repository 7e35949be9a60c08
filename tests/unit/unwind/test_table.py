from __future__ import annotations

import io
import subprocess
from array import array
from bisect import bisect_right
from pathlib import Path

import pytest
from elftools.dwarf.callframe import FDE
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from profiler.binary.call_frames import CallFrameSection, MalformedCallFramesError
from profiler.binary.elf import Elf
from profiler.binary.functions import call_frames
from profiler.unwind.rules import Span
from profiler.unwind.table import EMPTY_TABLE, UnwindTable, compile_table
from profiler.wire.unwind import (
    BP_SAME,
    KIND_BAD,
    KIND_CLONE,
    KIND_END,
    KIND_NONE,
    KIND_SIGNAL,
    KIND_WIDE,
    SLOT_LOST,
    WIDE_RULE,
    word,
)
from tests.call_frames import OFFSET_16, Section

PROGRAM = Path(__file__).parents[2] / "bpf" / "programs" / "frames.c"
EVERYTHING = ((0, 1 << 30),)
AT_8, AT_16 = word(1, 0, 1), word(1, 0, 2)
NOTHING, BAD = word(KIND_NONE), word(KIND_BAD)


def table_of(*entries: tuple[int, int, bytes], ranges: object = EVERYTHING) -> UnwindTable:
    section = Section()
    cie = section.cie()
    for start, size, program in entries:
        section.fde(cie, start, size, program)
    return compile_table(section.built(), ranges)  # type: ignore[arg-type]


def rows_of(table: UnwindTable) -> list[tuple[int, int]]:
    return [(table.base + (row >> 32), row & 0xFFFFFFFF) for row in table.rows]


def word_at(table: UnwindTable, address: int) -> int:
    """What the kernel's search finds, see unwind_find_word in bpf/unwind.h."""
    offset = address - table.base
    block = offset >> 10
    if offset < 0 or block >= len(table.blocks) // 2:
        return NOTHING
    first, count = table.blocks[2 * block], table.blocks[2 * block + 1]
    rows = table.rows[first : first + count]
    found = bisect_right(rows, offset << 32 | 0xFFFFFFFF) + first
    return table.rows[found - 1] & 0xFFFFFFFF if found else NOTHING


def test_rows_are_sorted_and_gaps_are_marked() -> None:
    table = table_of((0x2010, 0x10, OFFSET_16), (0x2000, 8, b""), (0x2020, 4, OFFSET_16))
    assert rows_of(table) == [
        (0x2000, AT_8),
        (0x2008, NOTHING),
        (0x2010, AT_8),
        (0x2011, AT_16),
        (0x2020, AT_8),
        (0x2021, AT_16),
        (0x2024, NOTHING),
    ]
    assert table.base == 0x2000


def test_a_rule_that_goes_on_in_the_next_function_has_one_row() -> None:
    table = table_of((0x2000, 0x10, b""), (0x2010, 0x10, b""))
    assert rows_of(table) == [(0x2000, AT_8), (0x2020, NOTHING)]


def test_rows_beyond_the_entry_are_dropped() -> None:
    table = table_of((0x2000, 1, OFFSET_16), (0x2001, 4, b""))
    assert rows_of(table) == [(0x2000, AT_8), (0x2005, NOTHING)]


def test_where_entries_overlap_the_later_one_begins_anew() -> None:
    table = table_of((0x2000, 0x100, OFFSET_16), (0x2010, 0x10, b""), (0x2010, 0x20, OFFSET_16))
    assert rows_of(table) == [
        (0x2000, AT_8),
        (0x2001, AT_16),
        (0x2010, AT_8),
        (0x2020, NOTHING),
    ]


def test_rules_that_cannot_be_followed_are_bad() -> None:
    table = table_of((0x2000, 0x10, b"\x3f"), (0x3000, 0x10, OFFSET_16 + b"\x41\x3f"))
    assert word_at(table, 0x2001) == word_at(table, 0x3002) == BAD
    assert word_at(table, 0x3001) == AT_16


def test_the_index_finds_what_a_search_over_all_rows_finds() -> None:
    starts = (0x2000, 0x2400, 0x27FF, 0x2800, 0x5000, 0x90001)
    table = table_of(*((start, 0x300, OFFSET_16) for start in starts))
    offsets = array("Q", (row >> 32 for row in table.rows))
    for address in range(0x1FF0, 0x90400):
        at = bisect_right(offsets, address - table.base) if address >= table.base else 0
        expected = table.rows[at - 1] & 0xFFFFFFFF if at else NOTHING
        assert word_at(table, address) == expected, hex(address)


@pytest.mark.parametrize(("name", "value"), [("MAX_ROWS", 2), ("MAX_CODE_BYTES", 0x800)])
def test_bounds_are_kept(monkeypatch: pytest.MonkeyPatch, name: str, value: int) -> None:
    monkeypatch.setattr(f"profiler.unwind.table.{name}", value)
    with pytest.raises(MalformedCallFramesError):
        table_of((0x2000, 0x10, OFFSET_16), (0x3000, 0x10, OFFSET_16))


# -- real files, against an independent decoder


def _decoded(path: Path, share: int) -> list[tuple[int, object]]:
    """(address, decoded row) of every `share`-th entry, as pyelftools reads them."""
    with path.open("rb") as file:
        entries = [
            entry
            for entry in ELFFile(file).get_dwarf_info().EH_CFI_entries()
            if isinstance(entry, FDE)
        ]
        found: list[tuple[int, object]] = []
        for entry in entries[::share]:
            end = entry["initial_location"] + entry["address_range"]
            rows = entry.get_decoded().table
            last = {row["pc"]: row for row in rows}  # the last of several rules for one place
            found += [(pc, row) for pc, row in last.items() if pc < end]
        return found


def _agrees(table: UnwindTable, address: int, row: object) -> bool:
    cfa, ra, rbp = row["cfa"], row.get(16), row.get(6)  # type: ignore[index,attr-defined]
    packed = word_at(table, address)
    kind, slot, offset = packed >> 28, packed >> 20 & 0xFF, packed & 0xFFFFF
    if ra is not None and ra.type == "UNDEFINED":
        return kind == 4
    if ra is None or ra.type != "OFFSET" or ra.arg != -8:
        return kind in (5, 7)
    if kind == 3:
        return bytes(cfa.expr[-9:]) == bytes(
            (0x80, 0, 0x3F, 0x1A, 0x30 + slot, 0x2A, 0x33, 0x24, 0x22)
        )
    saved = None if rbp is None or rbp.type == "SAME_VALUE" else rbp.arg
    if table.follows_bx and not _rbx_agrees(table, packed, row):
        return False
    if kind in (1, 2):
        where = None if slot == 0 else (slot - 256) * 8
        is_back = rbp is not None and rbp.type == "EXPRESSION" and cfa.reg == 7
        return (cfa.reg, cfa.offset) == ((7, 6)[kind - 1], offset * 8) and (
            is_back or saved == where
        )
    if kind != 6:
        return False
    reg, is_memory, how, _, first, added, _ = WIDE_RULE.unpack_from(table.rules, offset * 16)
    if not is_memory:
        return (cfa.reg, cfa.offset) == (reg, first) and added == 0
    deref = cfa.expr.index(0x06)
    return cfa.expr[0] == 0x70 + reg and (deref == len(cfa.expr) - 1) == (added == 0) and how != 3


def _rbx_agrees(table: UnwindTable, packed: int, row: object) -> bool:
    cfa, rbx = row["cfa"], row.get(3)  # type: ignore[index,attr-defined]
    bx = 0
    if packed >> 28 == KIND_WIDE:
        bx = WIDE_RULE.unpack_from(table.rules, (packed & 0xFFFFF) * 16)[3]
    if rbx is None or rbx.type == "SAME_VALUE":
        return bx == (SLOT_LOST if cfa.reg == 3 else 0)
    return bx == (rbx.arg // 8 if rbx.type == "OFFSET" else SLOT_LOST)


def _table(path: Path) -> UnwindTable:
    elf = Elf.from_bytes(path.read_bytes())
    return compile_table(call_frames(elf), elf.code_ranges)


IN_RBX = b"\x41\x0e\x20\x83\x04\x41\x0d\x03"  # rbx saved at CFA - 32, then CFA rbx + 32
PUSHED_RBX = b"\x41\x0e\x10\x83\x02"


def rule_of(table: UnwindTable, address: int) -> tuple[int, ...]:
    packed = word_at(table, address)
    assert packed >> 28 == KIND_WIDE
    return WIDE_RULE.unpack_from(table.rules, (packed & 0xFFFFF) * WIDE_RULE.size)


def test_where_a_frame_is_in_rbx_all_rules_say_where_that_is() -> None:
    table = table_of((0x2000, 0x10, IN_RBX), (0x3000, 0x10, PUSHED_RBX), (0x4000, 8, OFFSET_16))
    assert table.follows_bx
    assert rule_of(table, 0x2001) == (7, 0, BP_SAME, -4, 32, 0, 0)
    assert rule_of(table, 0x2002) == (3, 0, BP_SAME, -4, 32, 0, 0)
    assert rule_of(table, 0x3001) == (7, 0, BP_SAME, -2, 16, 0, 0)
    assert [word_at(table, at) for at in (0x2000, 0x3000, 0x4001)] == [AT_8, AT_8, AT_16]


def test_where_no_frame_is_in_rbx_rules_are_what_they_were() -> None:
    table = table_of((0x3000, 0x10, PUSHED_RBX))
    assert (table.follows_bx, table.rules, word_at(table, 0x3001)) == (False, b"", AT_16)


@pytest.mark.parametrize(
    ("name", "value"),
    [("unwind.table.MAX_FOLLOWED_BYTES", 20), ("unwind.rules.MAX_WIDE_RULES", 2)],
)
def test_rbx_is_followed_within_bounds(
    monkeypatch: pytest.MonkeyPatch, name: str, value: int
) -> None:
    monkeypatch.setattr(f"profiler.{name}", value)
    table = table_of((0x2000, 0x10, IN_RBX), (0x3000, 0x10, PUSHED_RBX))
    assert (table.follows_bx, word_at(table, 0x3001)) == (False, AT_16)
    assert rule_of(table, 0x2002) == (3, 0, BP_SAME, 0, 32, 0, 0)


def test_the_dynamic_linker_has_frames_in_rbx() -> None:
    table = _table(Path("/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"))
    assert table.follows_bx
    registers = {(rule[0], rule[3]) for rule in WIDE_RULE.iter_unpack(table.rules)}
    assert {(3, -4), (3, -7)} & registers  # of what binds a call, by the register set it saves
    assert (7, -7) in registers  # six registers pushed by a function


@pytest.mark.parametrize(
    ("library", "share"),
    [("libcrypto.so.3", 8), ("ld-linux-x86-64.so.2", 1), ("libm.so.6", 4), ("libsqlite3.so.0", 4)],
)
def test_rows_equal_an_independent_decoder(library: str, share: int) -> None:
    path = Path("/usr/lib/x86_64-linux-gnu") / library
    table = _table(path)
    rows = _decoded(path, share)
    assert len(rows) > 1000
    assert [hex(at) for at, row in rows if not _agrees(table, at, row)] == []


@pytest.mark.parametrize("flags", ["-O0", "-O2", "-O2 -fno-omit-frame-pointer", "-O2 -static"])
def test_rows_of_our_program_equal_an_independent_decoder(tmp_path: Path, flags: str) -> None:
    path = tmp_path / "frames"
    subprocess.run(
        ["gcc", "-w", *flags.split(), PROGRAM, "-o", path, "-ldl"], check=True, capture_output=True
    )
    table = _table(path)
    rows = _decoded(path, 4 if "-static" in flags else 1)
    assert len(rows) > 50
    assert [hex(at) for at, row in rows if not _agrees(table, at, row)] == []


def test_without_section_headers_the_table_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "frames"
    subprocess.run(["gcc", "-w", "-O2", PROGRAM, "-o", path, "-ldl"], check=True)
    data = bytearray(path.read_bytes())
    whole = Elf.from_bytes(bytes(data))
    data[40:48] = bytes(8)  # e_shoff
    data[60:62] = bytes(2)  # e_shnum
    bare = Elf.from_bytes(bytes(data))
    assert not bare.sections
    assert compile_table(call_frames(bare), bare.code_ranges) == compile_table(
        call_frames(whole), whole.code_ranges
    )


def test_no_frame_information_gives_an_empty_table() -> None:
    assert compile_table(CallFrameSection(b"", 0), EVERYTHING) == EMPTY_TABLE


UNDEFINED_RETURN = b"\x07\x10"  # DW_CFA_undefined of the return address


def test_the_gap_around_the_system_call_of_clone_is_parents_and_childs() -> None:
    table = table_of((0x2000, 0x20, b""), (0x202D, 0x20, UNDEFINED_RETURN))
    rows = [(0x2000, AT_8), (0x2020, word(KIND_CLONE)), (0x202D, word(KIND_END))]
    assert rows_of(table)[:3] == rows
    assert word_at(table, 0x2022) == word(KIND_CLONE)


@pytest.mark.parametrize(
    ("before", "start", "after"),
    [
        (b"", 0x2041, UNDEFINED_RETURN),  # too far away
        (OFFSET_16, 0x202D, UNDEFINED_RETURN),  # not as at a function's begin
        (b"", 0x202D, b""),  # no begin of a thread
    ],
)
def test_other_gaps_stay_gaps(before: bytes, start: int, after: bytes) -> None:
    table = table_of((0x2000, 0x20, before), (start, 0x20, after))
    assert word_at(table, 0x2022) == NOTHING


# The return address, rbp and the CFA in the ucontext at rsp, as in the C library's __restore_rt.
SIGNAL = b"\x0f\x04\x77\xa0\x01\x06" + b"\x10\x06\x03\x77\xf8\x00" + b"\x10\x10\x03\x77\xa8\x01"


def test_the_place_behind_a_signals_trampoline_is_still_its_own() -> None:
    signal = word(KIND_SIGNAL)
    table = table_of((0x2000, 9, SIGNAL), (0x2010, 8, b""), (0x3000, 9, SIGNAL), (0x300A, 8, b""))
    assert [word_at(table, at) for at in (0x2008, 0x2009, 0x200A)] == [signal, signal, NOTHING]
    assert [word_at(table, at) for at in (0x3008, 0x3009, 0x300A)] == [signal, NOTHING, AT_8]


def with_inferred(*spans: Span) -> UnwindTable:
    section = Section()
    cie = section.cie()
    section.fde(cie, 0x2000, 0x20, OFFSET_16)
    section.fde(cie, 0x2040, 0x20)
    return compile_table(section.built(), EVERYTHING, lambda _: list(spans))


def test_code_without_an_entry_has_the_rules_that_were_inferred() -> None:
    leaf, saved = (7, 8, None, -8, None), (7, 16, -16, -8, None)
    table = with_inferred(Span(0x2022, 0x2030, leaf), Span(0x2030, 0x2040, saved))
    expected = {0x201F: AT_16, 0x2021: NOTHING, 0x2022: AT_8, 0x2030: word(1, -2, 2), 0x2040: AT_8}
    assert {at: word_at(table, at) for at in expected} == expected
    assert not table.is_inferred


def test_of_rules_that_overlap_the_later_one_holds() -> None:
    leaf = (7, 8, None, -8, None)
    table = with_inferred(Span(0x1000, 0x1010, leaf), Span(0x1008, 0x100C, (7, 16, None, -8, None)))
    assert [word_at(table, at) for at in (0x1007, 0x1008, 0x100C)] == [AT_8, AT_16, NOTHING]
    assert [word_at(table, at) for at in (0x2000, 0x2001)] == [AT_8, AT_16]


def test_a_file_may_have_inferred_rules_alone() -> None:
    span = Span(0x2000, 0x2010, (7, 8, None, -8, None))
    table = compile_table(CallFrameSection(b"", 0), EVERYTHING, lambda _: [span])
    assert rows_of(table) == [(0x2000, AT_8), (0x2010, NOTHING)]
    assert table.is_inferred


def test_the_c_library_can_be_left_where_it_starts_threads() -> None:
    path = next(
        line.split()[-1]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if "/libc.so" in line
    )
    data = Path(path).read_bytes()
    elf = Elf.from_bytes(data)
    symbols = ELFFile(io.BytesIO(data)).get_section_by_name(".dynsym")
    assert isinstance(symbols, SymbolTableSection)
    clones = symbols.get_symbol_by_name("clone")
    assert clones
    address = clones[0]["st_value"]
    offset = elf.offset_of(address)
    assert offset is not None
    behind = data.index(b"\x0f\x05", offset, offset + 128) + 2 - offset + address
    table = compile_table(call_frames(elf), elf.code_ranges)
    assert word_at(table, behind) == word(KIND_CLONE)
