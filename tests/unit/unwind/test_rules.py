from __future__ import annotations

import pytest

from profiler.binary.call_frames import PCREL_SDATA4, Cie
from profiler.unwind.machine import OTHER, RBP, RIP, RSP, UNDEFINED, State
from profiler.unwind.rules import Programs, RuleWords, initial_state
from profiler.wire.unwind import (
    BP_AT_BP,
    BP_AT_CFA,
    BP_LOST,
    BP_SAME,
    KIND_BAD,
    KIND_END,
    KIND_PLT,
    KIND_RBP,
    KIND_RSP,
    KIND_SIGNAL,
    KIND_WIDE,
    SLOT_LOST,
    WIDE_RULE,
    word,
)
from tests.call_frames import USUAL_INIT, uleb

BAD = word(KIND_BAD)
R10 = 10


def cie(init: bytes = USUAL_INIT, return_register: int = RIP) -> Cie:
    return Cie(1, -8, return_register, PCREL_SDATA4, True, init)


def rows(program: bytes, init: bytes = USUAL_INIT) -> list[tuple[int, int]]:
    found = Programs(RuleWords()).rows(cie(init), program)
    return [(row >> 32, row & 0xFFFFFFFF) for row in found]


def rsp(offset: int, slot: int = 0) -> int:
    return word(KIND_RSP, slot, offset // 8)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ((RSP, 8, None, -8), word(KIND_RSP, 0, 1)),
        ((RSP, 16, -16, -8), word(KIND_RSP, -2, 2)),
        ((RBP, 16, -16, -8), word(KIND_RBP, -2, 2)),
        ((RSP, 8 * 0xFFFFF, -8 * 127, -8), word(KIND_RSP, -127, 0xFFFFF)),
        ((RSP, 64, OTHER, -8), word(KIND_RSP, SLOT_LOST, 8)),
        ((RSP, 64, UNDEFINED, -8), word(KIND_RSP, SLOT_LOST, 8)),
        ((RSP, 8, (RBP, 0), -8), word(KIND_RSP, 0, 1)),
        ((RSP, 8, None, UNDEFINED), word(KIND_END)),
        ((("plt", RSP, 8, 11), 0, None, -8), word(KIND_PLT, 11, 1)),
        ((("plt", RSP, 16, 5), 0, None, -8), word(KIND_PLT, 5, 2)),
        ((("deref", RSP, 160, 0), 0, (RSP, 120), (RSP, 168)), word(KIND_SIGNAL)),
    ],
)
def test_usual_rules_fit_a_word(state: State, expected: int) -> None:
    words = RuleWords()
    assert words.pack(state) == expected
    assert not words.wide


@pytest.mark.parametrize(
    ("state", "rule"),
    [
        ((RSP, 8 * 0x100000, None, -8), (RSP, 0, BP_SAME, 8 * 0x100000, 0, 0)),
        ((RSP, 12, None, -8), (RSP, 0, BP_SAME, 12, 0, 0)),
        ((RSP, -8, None, -8), (RSP, 0, BP_SAME, -8, 0, 0)),
        ((RSP, 64, -8 * 128, -8), (RSP, 0, BP_AT_CFA, 64, 0, -1024)),
        ((RSP, 64, -20, -8), (RSP, 0, BP_AT_CFA, 64, 0, -20)),
        ((R10, 0, None, -8), (R10, 0, BP_SAME, 0, 0, 0)),
        ((R10, 0, (RBP, 0), -8), (R10, 0, BP_AT_BP, 0, 0, 0)),
        ((R10, 0, (RSP, 0), -8), (R10, 0, BP_LOST, 0, 0, 0)),
        ((("deref", RBP, -8, 0), 0, (RBP, 0), -8), (RBP, 1, BP_AT_BP, -8, 0, 0)),
        ((("deref", RSP, 200, 8), 0, OTHER, -8), (RSP, 1, BP_LOST, 200, 8, 0)),
    ],
)
def test_unusual_rules_are_kept_beside(state: State, rule: tuple[int, ...]) -> None:
    words = RuleWords()
    words.wide.append(b"another rule")
    assert words.pack(state) == word(KIND_WIDE, 0, 1)
    reg, is_memory, how, *numbers = rule
    assert WIDE_RULE.unpack(words.wide[1]) == (reg, is_memory, how, 0, *numbers)
    assert not words.uses_rbx


@pytest.mark.parametrize(
    "state",
    [
        (OTHER, 0, None, -8),
        (17, 0, None, -8),
        (RSP, 8, None, None),
        (RSP, 8, None, -16),
        (RSP, 8, None, OTHER),
        (RSP, 1 << 40, None, -8),
        (("plt", RSP, 8, 11), 0, -16, -8),
        (("deref", 20, 0, 0), 0, None, -8),
    ],
)
def test_what_has_no_rule_is_bad(state: State) -> None:
    words = RuleWords()
    assert words.pack(state) == BAD
    assert not words.wide


def test_unusual_rules_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profiler.unwind.rules.MAX_WIDE_RULES", 1)
    words = RuleWords()
    assert words.pack((R10, 0, None, -8)) == word(KIND_WIDE)
    assert not words.is_full
    assert words.pack((R10, 8, None, -8)) == BAD
    assert words.is_full


def test_a_program_gives_a_row_where_the_rule_changes() -> None:
    program = bytes(
        (0x41, 0x0E, 16, 0x86, 2)  # push rbp
        + (0x43, 0x0D, 6)  # mov rsp, rbp
        + (0x45, 0x83, 3)  # rbx is saved: nothing that we follow
        + (0x02, 100, 0x0A, 0x0C, 7, 8, 0xC6)  # leave, ret
        + (0x41, 0x0B)  # code after the return
    )
    assert rows(program) == [
        (0, rsp(8)),
        (1, rsp(16, -2)),
        (4, word(KIND_RBP, -2, 2)),
        (109, rsp(8)),
        (110, word(KIND_RBP, -2, 2)),
    ]


def test_an_advance_by_nothing_replaces_no_rule() -> None:
    assert rows(bytes((0x41, 0x0E, 16, 0x40, 0x0E, 24, 0x02, 0, 0x0E, 32))) == [
        (0, rsp(8)),
        (1, rsp(32)),
    ]


def test_long_operands() -> None:
    program = (
        b"\x41\x0e" + uleb(70000) + b"\x86" + uleb(200) + b"\x83" + uleb(300) + b"\x44\x0e\x08"
    )
    (_, first), (_, second), (at, last) = rows(program)
    assert (first, at, last >> 28) == (rsp(8), 5, KIND_WIDE)
    assert second >> 28 == KIND_WIDE


def test_a_broken_program_is_bad_from_where_it_breaks() -> None:
    assert rows(bytes((0x41, 0x0E, 16, 0x44, 0x3F))) == [(0, rsp(8)), (1, rsp(16)), (5, BAD)]
    assert rows(bytes((0x44, 0x0B))) == [(0, rsp(8)), (4, BAD)]
    assert rows(bytes((0x44, 0x0E))) == [(0, rsp(8)), (4, BAD)]


def test_a_program_too_long_is_bad() -> None:
    assert rows(bytes((0x41, 0x0E, 16)) + bytes(1 << 16)) == [(0, BAD)]


@pytest.mark.parametrize(
    "broken",
    [cie(b"\x3f"), cie(b"\x0e"), cie(b"\x41"), cie(return_register=17)],
)
def test_a_cie_that_cannot_be_followed_makes_its_entries_bad(broken: Cie) -> None:
    assert initial_state(broken) is None
    assert Programs(RuleWords()).rows(broken, b"\x0e\x10") == (BAD,)


def test_an_unreadable_cie_makes_its_entries_bad() -> None:
    assert Programs(RuleWords()).rows(None, b"") == (BAD,)


def test_the_initial_state() -> None:
    assert initial_state(cie()) == (RSP, 8, None, -8)


def test_equal_programs_are_executed_once() -> None:
    programs = Programs(RuleWords())
    one, other = cie(), cie(bytes((0x0C, 7, 16, 0x90, 1)))
    assert programs.rows(one, b"\0") is programs.rows(one, b"\0")
    assert programs.rows(one, b"\0") != programs.rows(other, b"\0")
