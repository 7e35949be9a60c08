from __future__ import annotations

import pytest

from profiler.binary.call_frames import PCREL_SDATA4, Cie
from profiler.unwind.machine import (
    OTHER,
    RBP,
    RBX,
    RIP,
    RSP,
    UNDEFINED,
    Cfa,
    InRegister,
    Place,
    State,
)
from profiler.unwind.rules import BEGINS, Programs, RuleWords, initial_state
from profiler.wire.unwind import (
    BP_AT_BP,
    BP_AT_CFA,
    BP_LOST,
    BP_SAME,
    KIND_BAD,
    KIND_CLONE,
    KIND_END,
    KIND_PLT,
    KIND_RBP,
    KIND_REGISTER,
    KIND_RSP,
    KIND_SIGNAL,
    KIND_WIDE,
    SLOT_LOST,
    WIDE_RULE,
    word,
)
from tests.call_frames import USUAL_INIT, uleb

BAD = word(KIND_BAD)
AT_8 = word(KIND_RSP, 0, 1)
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
def test_usual_rules_fit_a_word(state: tuple[Cfa, int, Place, Place], expected: int) -> None:
    words = RuleWords()
    assert words.pack((*state, None)) == expected
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
def test_unusual_rules_are_kept_beside(
    state: tuple[Cfa, int, Place, Place], rule: tuple[int, ...]
) -> None:
    words = RuleWords()
    words.wide.append(b"another rule")
    assert words.pack((*state, None)) == word(KIND_WIDE, 0, 1)
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
def test_what_has_no_rule_is_bad(state: tuple[Cfa, int, Place, Place]) -> None:
    words = RuleWords()
    assert words.pack((*state, None)) == BAD
    assert not words.wide


def test_unusual_rules_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("profiler.unwind.rules.MAX_WIDE_RULES", 1)
    words = RuleWords()
    assert words.pack((R10, 0, None, -8, None)) == word(KIND_WIDE)
    assert not words.is_full
    assert words.pack((R10, 8, None, -8, None)) == BAD
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
    assert initial_state(cie()) == (RSP, 8, None, -8, None)


def test_equal_programs_are_executed_once() -> None:
    programs = Programs(RuleWords())
    one, other = cie(), cie(bytes((0x0C, 7, 16, 0x90, 1)))
    assert programs.rows(one, b"\0") is programs.rows(one, b"\0")
    assert programs.rows(one, b"\0") != programs.rows(other, b"\0")


# -- with frames in rbx


def rules(program: bytes, init: bytes = b"") -> list[tuple[int, int | tuple[int, ...]]]:
    """(offset, word), or (offset, rule) where the rule is a wide one."""
    words = RuleWords(follows_rbx=True)
    found: list[tuple[int, int | tuple[int, ...]]] = []
    for row in Programs(words).rows(cie(USUAL_INIT + init), program):
        packed = row & 0xFFFFFFFF
        is_wide = packed >> 28 == KIND_WIDE
        rule = WIDE_RULE.unpack(words.wide[packed & 0xFFFFF]) if is_wide else packed
        found.append((row >> 32, rule))
    return found


def test_rules_that_save_rbx_say_where() -> None:
    program = b"\x41\x0e\x10\x86\x02" + b"\x41\x0e\x18\x83\x03" + b"\x49\x0a\xc3\x0e\x10"
    program += b"\x41\xc6\x0e\x08" + b"\x41\x0b"
    assert rules(program) == [
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
    assert rules(place) == [(0, (RSP, 0, BP_SAME, SLOT_LOST, 8, 0, 0))]


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
    assert rules(cfa) == [(0, rule)]


def test_restoring_rbx_gives_back_what_the_cie_said() -> None:
    saved = (RSP, 0, BP_SAME, -2, 8, 0, 0)
    assert rules(b"\x41\x08\x03\x41\xc3", init=b"\x83\x02") == [(0, saved), (1, AT_8), (2, saved)]


def test_the_end_of_a_thread_is_one_wherever_rbx_is() -> None:
    assert rules(b"\x07\x10\x83\x02") == [(0, word(KIND_END))]


def test_a_plt_that_saved_rbx_is_not_followed() -> None:
    plt = b"\x0f\x0b\x77\x08\x80\x00\x3f\x1a\x3b\x2a\x33\x24\x22"
    assert [kind >> 28 for _, kind in rules(plt) if isinstance(kind, int)] == [3]
    assert rules(plt + b"\x83\x02") == [(0, BAD)]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ((RSP, 0, None, InRegister(5), None), word(KIND_REGISTER, 5)),  # glibc's vfork
        ((RSP, 16, None, InRegister(1), None), word(KIND_REGISTER, 1, 2)),
        ((RSP, 16, -16, InRegister(5), None), BAD),
        ((RBP, 16, None, InRegister(5), None), BAD),
        ((RSP, 0, None, InRegister(17), None), BAD),
        ((RSP, 8, None, BEGINS, None), word(KIND_CLONE)),
    ],
)
def test_a_return_address_may_be_in_a_register_or_nowhere(state: State, expected: int) -> None:
    assert RuleWords().pack(state) == expected
