from __future__ import annotations

import pytest

from profiler.binary.call_frames import PCREL_SDATA4, Cie
from profiler.unwind.machine import RIP
from profiler.unwind.rules_with_rbx import RbxPrograms, RbxWords
from profiler.wire.unwind import (
    BP_AT_BP,
    BP_AT_CFA,
    BP_LOST,
    BP_SAME,
    KIND_BAD,
    KIND_END,
    KIND_RBP,
    KIND_RSP,
    KIND_WIDE,
    SLOT_LOST,
    WIDE_RULE,
    word,
)
from tests.call_frames import USUAL_INIT, uleb

RBX, RBP, RSP = 3, 6, 7
AT_8, AT_16 = word(KIND_RSP, 0, 1), word(KIND_RSP, 0, 2)
BAD = word(KIND_BAD)


def rows(program: bytes, init: bytes = b"") -> list[tuple[int, int | tuple[int, ...]]]:
    """(offset, word), or (offset, rule) where the rule is a wide one."""
    words = RbxWords()
    cie = Cie(1, -8, RIP, PCREL_SDATA4, True, USUAL_INIT + init)
    found: list[tuple[int, int | tuple[int, ...]]] = []
    for row in RbxPrograms(words).rows(cie, program):
        packed = row & 0xFFFFFFFF
        is_wide = packed >> 28 == KIND_WIDE
        rule = WIDE_RULE.unpack(words.wide[packed & 0xFFFFF]) if is_wide else packed
        found.append((row >> 32, rule))
    return found


def test_rules_that_keep_rbx_are_words() -> None:
    program = b"\x41\x0e\x10\x86\x02" + b"\x43\x0d\x06" + b"\x4a\x0c\x07\x08\xc6"
    assert rows(program) == [
        (0, AT_8),
        (1, word(KIND_RSP, -2, 2)),
        (4, word(KIND_RBP, -2, 2)),
        (14, AT_8),
    ]


def test_rules_that_save_rbx_say_where() -> None:
    program = b"\x41\x0e\x10\x86\x02" + b"\x41\x0e\x18\x83\x03" + b"\x49\x0a\xc3\x0e\x10"
    program += b"\x41\xc6\x0e\x08" + b"\x41\x0b"
    assert rows(program) == [
        (0, AT_8),
        (1, word(KIND_RSP, -2, 2)),
        (2, (RSP, 0, BP_AT_CFA, -3, 24, 0, -16)),
        (11, word(KIND_RSP, -2, 2)),
        (12, AT_8),
        (13, (RSP, 0, BP_AT_CFA, -3, 24, 0, -16)),
    ]


@pytest.mark.parametrize(
    "place",
    [
        b"\x07\x03",  # undefined
        b"\x10\x03\x02\x77\x08",  # at rsp + 8
        b"\x09\x03\x0c",  # in another register
        b"\x83" + uleb(128),  # too far away for a slot
    ],
)
def test_what_has_no_slot_is_lost(place: bytes) -> None:
    assert rows(place) == [(0, (RSP, 0, BP_SAME, SLOT_LOST, 8, 0, 0))]


@pytest.mark.parametrize(
    ("cfa", "rule"),
    [
        (b"\x0c\x03\x08", (RBX, 0, BP_SAME, SLOT_LOST, 8, 0, 0)),
        (b"\x0f\x03\x73\x08\x06", (RBX, 1, BP_SAME, SLOT_LOST, 8, 0, 0)),
        (b"\x0c\x03\x20\x83\x04", (RBX, 0, BP_SAME, -4, 32, 0, 0)),
        (b"\x0c\x03\x20\x83\x04\x10\x06\x02\x76\x00", (RBX, 0, BP_AT_BP, -4, 32, 0, 0)),
        (b"\x0c\x03\x20\x83\x04\x07\x06", (RBX, 0, BP_LOST, -4, 32, 0, 0)),
    ],
)
def test_a_register_that_finds_the_frame_is_not_the_callers(
    cfa: bytes, rule: tuple[int, ...]
) -> None:
    assert rows(cfa) == [(0, rule)]


def test_restoring_gives_back_what_the_cie_said() -> None:
    saved = (RSP, 0, BP_SAME, -2, 8, 0, 0)
    assert rows(b"\x41\x08\x03\x41\xc3", init=b"\x83\x02") == [(0, saved), (1, AT_8), (2, saved)]


def test_an_advance_by_nothing_replaces_no_rule() -> None:
    assert rows(b"\x41\x0e\x10\x40\x0e\x18\x02\x00\x0e\x10\x41") == [(0, AT_8), (1, AT_16)]


def test_the_end_of_a_thread_is_one_wherever_rbx_is() -> None:
    assert rows(b"\x07\x10\x83\x02") == [(0, word(KIND_END))]


def test_broken_programs_are_bad_from_where_they_break() -> None:
    assert rows(b"\x41\x0e\x10\x44\x3f") == [(0, AT_8), (1, AT_16), (5, BAD)]
    assert rows(b"\x44\x0b") == [(0, AT_8), (4, BAD)]
    assert rows(bytes(1 << 16)) == [(0, BAD)]
    assert rows(b"", init=b"\x3f") == [(0, BAD)]


def test_a_plt_that_saved_rbx_is_not_followed() -> None:
    plt = b"\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"
    assert [kind >> 28 for _, kind in rows(plt) if isinstance(kind, int)] == [3]
    assert rows(plt + b"\x83\x02") == [(0, BAD)]
