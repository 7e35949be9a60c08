"""Stacks of made-up tables and memory; test_beginnings.py walks those of a real program."""

from __future__ import annotations

from array import array
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.process.mappings import TRAMPOLINES
from profiler.unwind.table import EMPTY_TABLE, UnwindTable
from profiler.unwind.walk import Rules, WalkedStack, walk
from profiler.wire.unwind import (
    BP_AT_BP,
    BP_AT_CFA,
    BP_LOST,
    BP_SAME,
    KIND_BAD,
    KIND_CLONE,
    KIND_END,
    KIND_NONE,
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

CODE = 0x5000_0000
STACK = 0x7F00_0000_0000
END = 0xF00  # where the last function is
RAX, RBX, RBP, RSP, R10 = 0, 3, 6, 7, 10


def rules(words: dict[int, int], *wide: tuple[int, ...], follows_bx: bool = False) -> Rules:
    """Return the rules of a file with these words by offset, and a last function at END."""
    rows = array(
        "Q", (at << 32 | one for at, one in sorted({**words, END: word(KIND_END)}.items()))
    )
    packed = b"".join(WIDE_RULE.pack(*one) for one in wide)
    table = UnwindTable(0, rows, array("I"), packed, follows_bx)
    file = SimpleNamespace(path="/f")
    loaded = SimpleNamespace(file=file, bias=CODE, mapping=SimpleNamespace(path="/f"))
    code: Any = SimpleNamespace(at=lambda address: loaded if address >> 28 == 5 else None)
    library: Any = SimpleNamespace(table=lambda _file: table)
    return Rules(code, library)


def walked(
    known: Rules, memory: dict[int, int], offset: int = 0x10, **registers: int | None
) -> WalkedStack:
    """Walk from an offset of the file; places in `memory` are relative to the stack's end."""
    values: list[int | None] = [0x99] * 16
    values[RSP] = STACK
    names = {"rax": RAX, "rbx": RBX, "rbp": RBP, "r10": R10}
    for name, value in registers.items():
        values[names[name]] = value
    read = {STACK + at: value for at, value in memory.items()}
    return walk(known, read.get, CODE + offset, values)


def offsets(stack: WalkedStack) -> list[int]:
    return [address - CODE for address in stack.frames]


ENDS = CODE + END + 1  # a return address: one behind what is looked up


def test_frames_that_are_found_by_rsp() -> None:
    known = rules({0: word(KIND_RSP, 0, 2), 0x100: word(KIND_RSP, 0, 1)})
    stack = walked(known, {8: CODE + 0x120, 16: ENDS})
    assert offsets(stack) == [0x10, 0x11F, END]
    assert stack.tops == (STACK, STACK + 16, STACK + 24)
    assert stack.cause is None


def test_frames_that_are_found_by_rbp() -> None:
    known = rules({0: word(KIND_RSP, -2, 2), 0x100: word(KIND_RBP, -2, 2)})
    memory = {0: STACK + 32, 8: CODE + 0x120, 32: 5, 40: ENDS}
    assert walked(known, memory).cause is None


def test_rbp_that_is_lost_finds_nothing() -> None:
    known = rules({0: word(KIND_RSP, SLOT_LOST, 1), 0x100: word(KIND_RBP, 0, 2)})
    stack = walked(known, {0: CODE + 0x120, 40: ENDS}, rbp=STACK + 32)
    assert (len(stack.frames), stack.cause) == (2, "unsupported rule")


def test_rbp_that_nobody_knew() -> None:
    known = rules({0: word(KIND_RBP, 0, 2)})
    assert walked(known, {}, rbp=None).cause == "unsupported rule"


@pytest.mark.parametrize(("offset", "place"), [(0x10, 8), (0x1B, 16)])
def test_stubs_push_once_or_twice(offset: int, place: int) -> None:
    known = rules({0: word(KIND_PLT, 11, 2)})
    assert walked(known, {place: ENDS}, offset).cause is None


def test_a_thread_that_was_just_made() -> None:
    known = rules({0: word(KIND_CLONE)})
    assert offsets(walked(known, {}, rax=0)) == [0x10]
    assert offsets(walked(known, {0: ENDS}, rax=77)) == [0x10, END]


def test_what_a_signal_interrupted() -> None:
    known = rules({0: word(KIND_SIGNAL), 0x100: word(KIND_RBP, 0, 2), 0x200: word(KIND_RSP, 0, 1)})
    saved = {120: STACK + 800, 128: 0, 160: STACK + 600, 168: CODE + 0x100}
    stack = walked(known, {**saved, 808: ENDS})
    assert offsets(stack) == [0x10, 0x100, END]


def test_a_leaf_whose_return_address_is_in_a_register() -> None:
    known = rules({0: word(KIND_REGISTER, R10, 0)})
    assert offsets(walked(known, {}, r10=ENDS)) == [0x10, END]
    assert walked(known, {}, r10=None).cause == "unsupported rule"


def wide(
    register: int,
    is_memory: int = 0,
    how: int = BP_SAME,
    bx: int = 0,
    offset: int = 16,
    added: int = 0,
    where: int = 0,
) -> tuple[int, ...]:
    return register, is_memory, how, bx, offset, added, where


@pytest.mark.parametrize(
    ("rule", "memory"),
    [
        (wide(R10, offset=-STACK + STACK), {0: 1, 56: ENDS}),
        (wide(RSP, is_memory=1, offset=8, added=8), {8: STACK + 48, 48: ENDS}),
    ],
)
def test_rules_that_need_room(rule: tuple[int, ...], memory: dict[int, int]) -> None:
    known = rules({0: word(KIND_WIDE, 0, 0)}, rule)
    assert walked(known, memory, r10=STACK + 64).cause is None


@pytest.mark.parametrize(
    ("how", "where", "memory", "cause"),
    [
        (BP_SAME, 0, {}, None),
        (BP_AT_CFA, -16, {0: STACK + 64}, None),
        (BP_AT_BP, 0, {72: 1, 64: 2}, None),  # it is back already
        # Above what it points to is a copy of the return address.
        (BP_AT_BP, 0, {72: CODE + 0x120, 64: STACK + 64}, None),
        (BP_AT_BP, 0, {72: CODE + 0x120, 64: 8}, "stack went backwards"),
        (BP_LOST, 0, {}, "unsupported rule"),
    ],
)
def test_where_wide_rules_keep_rbp(
    how: int, where: int, memory: dict[int, int], cause: str | None
) -> None:
    known = rules(
        {0: word(KIND_WIDE, 0, 0), 0x100: word(KIND_RBP, 0, 4)}, wide(RSP, 0, how, where=where)
    )
    stack = walked(known, {8: CODE + 0x120, 88: ENDS, **memory}, rbp=STACK + 64)
    assert stack.cause == cause


def test_a_frame_in_rbx() -> None:
    known = rules(
        {0: word(KIND_WIDE, 0, 0), 0x100: word(KIND_WIDE, 0, 1)},
        wide(RBX, bx=-2),
        wide(RBX),
        follows_bx=True,
    )
    memory = {48: STACK + 80, 56: CODE + 0x120, 88: ENDS}
    assert walked(known, memory, rbx=STACK + 48).cause is None


def test_rbx_is_not_known_behind_files_that_do_not_follow_it() -> None:
    known = rules({0: word(KIND_RSP, 0, 1), 0x100: word(KIND_WIDE, 0, 0)}, wide(RBX))
    stack = walked(known, {0: CODE + 0x120, 56: ENDS}, rbx=STACK + 48)
    assert (len(stack.frames), stack.cause) == (2, "unsupported rule")


@pytest.mark.parametrize(
    ("words", "memory", "cause"),
    [
        ({0: word(KIND_NONE)}, {}, "no rule"),
        ({0x800: word(KIND_RSP, 0, 1)}, {}, "no rule"),
        ({0: word(KIND_BAD)}, {}, "unsupported rule"),
        ({0: word(KIND_RSP, 0, 0)}, {}, "stack went backwards"),
        ({0: word(KIND_RSP, 0, 1)}, {}, "unreadable stack"),
        ({0: word(KIND_RSP, 0, 1)}, {0: 4095}, "bad return address"),
        ({0: word(KIND_RSP, 0, 1)}, {0: 1 << 63}, "bad return address"),
        ({0: word(KIND_RSP, 0, 1)}, {0: 0x7000_0000}, "unknown mapping"),
    ],
)
def test_why_a_stack_ends(words: dict[int, int], memory: dict[int, int], cause: str) -> None:
    assert walked(rules(words), memory).cause == cause


def test_a_stack_without_end_is_left() -> None:
    values: list[int | None] = [STACK] * 16
    stack = walk(rules({0: word(KIND_RSP, 0, 1)}), lambda _: CODE + 0x10, CODE + 0x10, values)
    assert (len(stack.frames), stack.cause) == (2048, "too deep")


@pytest.mark.parametrize(
    ("loaded", "cause"),
    [
        (None, "unknown mapping"),
        (SimpleNamespace(mapping=SimpleNamespace(path=TRAMPOLINES)), "unknown mapping"),
        (SimpleNamespace(mapping=SimpleNamespace(path="x"), file=None, bias=None), "no table"),
        (SimpleNamespace(mapping=SimpleNamespace(path="x"), file=1, bias=0), "no table"),
    ],
)
def test_where_there_are_no_rules(loaded: Any, cause: str) -> None:
    code: Any = SimpleNamespace(at=lambda _: loaded)
    library: Any = SimpleNamespace(table=lambda _: EMPTY_TABLE)
    assert Rules(code, library).at(CODE) == cause
