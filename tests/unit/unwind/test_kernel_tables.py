from __future__ import annotations

import subprocess
import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from profiler.binary.functions import call_frames
from profiler.process.mappings import LoadedCode, Mapping, TargetCode
from profiler.unwind.kernel_tables import TableLibrary, UnwindTables
from profiler.wire.unwind import (
    ACTIVE,
    BLOCK,
    MAPPING,
    MAX_MAPPINGS,
    ROW,
    WIDE_RULE,
)

SIZES = {
    "unwind_rows": ROW.size,
    "unwind_blocks": BLOCK.size,
    "unwind_rules": WIDE_RULE.size,
    "unwind_mappings": MAPPING.size,
    "unwind_active": ACTIVE.size,
}


class FakeMap:
    def __init__(self, max_entries: int) -> None:
        self.max_entries = max_entries
        self.data = bytearray()

    def memory(self, length: int) -> bytearray:
        self.data = bytearray(length)
        return self.data


class FakeMaps:
    """Arrays as bpf/unwind.h declares them, and its search in Python."""

    def __init__(self, rows: int, blocks: int, rules: int) -> None:
        entries = (rows, blocks, rules, 2 * MAX_MAPPINGS, 1)
        self.maps = {name: FakeMap(count) for name, count in zip(SIZES, entries, strict=True)}

    def map(self, name: str) -> FakeMap:
        return self.maps[name]

    def mappings(self) -> list[tuple[int, ...]]:
        half, count = ACTIVE.unpack(self.maps["unwind_active"].data)
        at = half * MAX_MAPPINGS * MAPPING.size
        data = self.maps["unwind_mappings"].data[at : at + count * MAPPING.size]
        return list(MAPPING.iter_unpack(data))

    def word(self, address: int) -> int | None:
        """None: not mapped, or without a table."""
        for start, end, base, rows, blocks, count, *_ in self.mappings():
            if start <= address < end and count:
                offset = address - base
                block = offset >> 10
                if not 0 <= block < count:
                    return 0
                first, size = BLOCK.unpack_from(
                    self.maps["unwind_blocks"].data, (blocks + block) * BLOCK.size
                )
                data = memoryview(self.maps["unwind_rows"].data).cast("Q")
                found = bisect_right(
                    data, offset << 32 | 0xFFFFFFFF, rows + first, rows + first + size
                )
                return data[found - 1] & 0xFFFFFFFF if found > rows else 0
        return None


@pytest.fixture
def code() -> Iterator[TargetCode]:
    # A process of its own: this one may hold code that no file is behind, once BCC was loaded.
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        process.stdout.readline()
        yield mapped(process.pid)
        process.stdin.close()


def mapped(pid: int) -> TargetCode:
    one = TargetCode(pid)
    one.refresh()
    return one


@pytest.fixture
def library(code: TargetCode) -> TableLibrary:
    one = TableLibrary()
    one.prepare(code.current)
    return one


def maps_for(library: TableLibrary) -> FakeMaps:
    sizes = library.map_sizes()
    return FakeMaps(sizes["unwind_rows"], sizes["unwind_blocks"], sizes["unwind_rules"])


def tables_in(maps: Any, library: TableLibrary) -> UnwindTables:
    return UnwindTables(maps, library)


def expected_word(library: TableLibrary, one: LoadedCode, address: int) -> int:
    assert one.file is not None
    assert one.bias is not None
    table = library.table(one.file)
    offset = address - one.bias - table.base
    at = bisect_right(table.rows, offset << 32 | 0xFFFFFFFF) if offset >= 0 else 0
    return table.rows[at - 1] & 0xFFFFFFFF if at else 0


def assert_searchable(maps: FakeMaps, library: TableLibrary, loaded: tuple[LoadedCode, ...]) -> int:
    """Look up addresses all over the mapped code; return how many had a table."""
    checked = 0
    for one in loaded:
        if one.file is None or not library.table(one.file).rows:
            continue
        step = max(1, (one.mapping.end - one.mapping.start) // 200)
        for address in range(one.mapping.start, one.mapping.end, step):
            assert maps.word(address) == expected_word(library, one, address)
            checked += 1
    return checked


def test_the_kernel_finds_every_rule(code: TargetCode, library: TableLibrary) -> None:
    maps = maps_for(library)
    skipped = tables_in(maps, library).update(code.current)
    assert assert_searchable(maps, library, code.current) > 1000
    assert skipped == ()
    assert ACTIVE.unpack(maps.map("unwind_active").data)[1] == len(code.current)
    tables = [library.table(one.file) for one in code.current if one.file]
    assert sum(len(table.rows) for table in tables) > 10_000


def test_an_update_switches_halves_and_keeps_tables(
    code: TargetCode, library: TableLibrary
) -> None:
    maps = maps_for(library)
    tables = tables_in(maps, library)
    tables.update(code.current)
    first_half = ACTIVE.unpack(maps.map("unwind_active").data)[0]
    written = bytes(maps.map("unwind_rows").data)
    tables.update(code.current[:1])
    assert ACTIVE.unpack(maps.map("unwind_active").data) == (1 - first_half, 1)
    assert maps.word(code.current[1].mapping.start) is None
    tables.update(code.current)
    assert ACTIVE.unpack(maps.map("unwind_active").data)[0] == first_half
    assert bytes(maps.map("unwind_rows").data) == written
    assert_searchable(maps, library, code.current)


def test_what_does_not_fit_is_said(code: TargetCode, library: TableLibrary) -> None:
    sizes = sorted(len(library.table(one.file).rows) for one in code.current if one.file)
    maps = FakeMaps(sizes[-1] - 1, 1 << 16, 1 << 12)
    skipped = tables_in(maps, library).update(code.current)
    assert skipped
    assert {reason for _, reason in skipped} == {"no room in the kernel's tables"}
    placed = sum(entry[5] != 0 for entry in maps.mappings())
    assert placed + len(skipped) == len(code.current)
    assert all(entry[5] == 0 or entry[3] < sizes[-1] for entry in maps.mappings())


def test_too_many_mappings_are_said(code: TargetCode, library: TableLibrary) -> None:
    one = code.current[0]
    many = [
        replace(one, mapping=replace(one.mapping, start=at << 12, end=(at << 12) + 4096))
        for at in range(1, MAX_MAPPINGS + 4)
    ]
    maps = maps_for(library)
    skipped = tables_in(maps, library).update(many)
    assert ACTIVE.unpack(maps.map("unwind_active").data)[1] == MAX_MAPPINGS
    assert [reason for _, reason in skipped] == ["too many mappings"] * 3


def test_trampolines_stay_unknown_and_other_code_has_no_table(
    code: TargetCode, library: TableLibrary
) -> None:
    def bare(start: int, path: str) -> LoadedCode:
        mapping = Mapping(start, start + 4096, 0, "00:00", 0, path, False)
        return LoadedCode(mapping, None, None, "not backed by a file")

    maps = maps_for(library)
    skipped = tables_in(maps, library).update((bare(0x1000, ""), bare(0x5000, "[uprobes]")))
    assert [entry[:2] for entry in maps.mappings()] == [(0x1000, 0x2000)]
    assert skipped == (("", "not backed by a file"),)


def test_the_same_mapping_twice_shares_its_table(code: TargetCode, library: TableLibrary) -> None:
    one = code.current[0]
    again = replace(
        one, mapping=replace(one.mapping, start=one.mapping.end, end=one.mapping.end + 1)
    )
    maps = maps_for(library)
    tables_in(maps, library).update((one, again))
    first, second = maps.mappings()
    assert first[2:] == second[2:]


def test_a_file_with_malformed_frames_is_without_table(code: TargetCode) -> None:
    file = code.current[0].file
    assert file is not None
    address, data = file.elf.eh_frame or (0, b"")
    file.elf.eh_frame = address, data + b"\xf0\xff\xff\xff" + bytes(8)
    library = TableLibrary()
    assert not library.table(file).rows
    assert str(library.problem(file)).startswith("malformed call frame information")
    skipped = tables_in(FakeMaps(10, 10, 10), library).update(code.current[:1])
    assert skipped[0][1].startswith("malformed")


def test_sizes_leave_room_but_have_a_bound(
    library: TableLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = library.map_sizes()
    assert sizes["unwind_rows"] > sum(len(table.rows) for table in library._tables.values())
    monkeypatch.setattr("profiler.unwind.kernel_tables.MAX_TABLE_BYTES", 100_000)
    sizes = library.map_sizes()
    assert sizes["unwind_rows"] * ROW.size + sizes["unwind_blocks"] * BLOCK.size <= 100_000


def test_sections_come_from_the_file(code: TargetCode) -> None:
    assert code.current[0].file is not None
    assert not call_frames(code.current[0].file.elf).ends_at_zero
