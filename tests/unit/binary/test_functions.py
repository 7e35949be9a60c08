from __future__ import annotations

from array import array
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.binary import functions as module
from profiler.binary.call_frames import MalformedCallFramesError
from profiler.binary.functions import FunctionTable, functions
from tests.call_frames import ADDRESS, Section
from tests.compiled import assemble

CODE = ((0x1000, 0x2000), (0x3000, 0x4000))


def table(*ranges: tuple[int, int]) -> FunctionTable:
    """Return the functions of a file whose entries describe (start, size)."""
    section = Section()
    cie = section.cie()
    for start, size in ranges:
        section.fde(cie, start, size)
    elf: Any = SimpleNamespace(
        eh_frame=(ADDRESS, section.data), section=lambda _: None, code_ranges=CODE
    )
    return functions(elf)


def spans(found: FunctionTable) -> list[tuple[int, int]]:
    return list(zip(found.starts, found.ends, strict=True))


def test_an_address_is_in_the_function_that_begins_before_and_ends_behind_it() -> None:
    known = FunctionTable(
        array("Q", (0x1000, 0x1010, 0x1040)), array("Q", (0x1010, 0x1020, 0x1050))
    )
    inside = {0x1000: 0x1000, 0x100F: 0x1000, 0x1010: 0x1010, 0x101F: 0x1010, 0x1040: 0x1040}
    for address, start in inside.items():
        assert known.containing(address) == (start, start + 0x10)
    for address in (0, 0xFFF, 0x1020, 0x103F, 0x1050, (1 << 64) - 1):
        assert known.containing(address) is None
    assert len(known) == 3


def test_without_functions_none_has_an_address() -> None:
    assert table().containing(0) is None
    assert len(table()) == 0


def test_functions_of_a_real_library_end_where_the_assembler_said(tmp_path: Path) -> None:
    body = "FUNCTION one\nret\nEND\nFUNCTION two\nnop\nnop\nret\nEND"
    one, two = spans(functions(assemble(tmp_path, body).elf))
    assert (one[1] - one[0], two[1] - two[0], two[0] - one[0]) == (1, 3, 16)


def test_functions_are_in_order_whatever_the_order_of_their_entries() -> None:
    assert spans(table((0x3000, 8), (0x1000, 16))) == [(0x1000, 0x1010), (0x3000, 0x3008)]


def test_of_two_that_overlap_the_first_ends_where_the_second_begins() -> None:
    found = table((0x1000, 0x100), (0x1040, 0x20))
    assert spans(found) == [(0x1000, 0x1040), (0x1040, 0x1060)]


def test_of_two_that_begin_together_the_first_one_stays() -> None:
    assert spans(table((0x1000, 0x10), (0x1000, 0x20))) == [(0x1000, 0x1010)]


@pytest.mark.parametrize(
    "outside", [(0xFFF, 4), (0x1FFF, 2), (0x2800, 4), (0x2FFF, 4), (0x4000, 4), (0x1800, 0)]
)
def test_what_is_outside_the_code_or_empty_is_no_function(outside: tuple[int, int]) -> None:
    found = table((0x1000, 4), outside, (0x3FFC, 4))
    assert spans(found) == [(0x1000, 0x1004), (0x3FFC, 0x4000)]


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 2)
    assert len(table((0x1000, 4), (0x1010, 4))) == 2
    with pytest.raises(MalformedCallFramesError, match="more than 2 entries"):
        table((0x1000, 4), (0x1010, 4), (0x1020, 4))


def test_the_same_frames_are_read_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EBPF_PROF_CACHE", str(tmp_path))
    found = table((0x1000, 0x10), (0x3000, 0x20))
    monkeypatch.setattr(module, "code_entries", lambda *_: [(0x1500, 0x1600, None, b"")])
    assert table((0x1000, 0x10), (0x3000, 0x20)) == found
    assert spans(table((0x1000, 0x10))) == [(0x1500, 0x1600)]  # another file
