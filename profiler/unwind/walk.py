"""Follows a stack from frame to frame, outside of the kernel: as bpf/unwind.h does in it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from profiler.process.mappings import TRAMPOLINES, TargetCode
from profiler.unwind.kernel_tables import TableLibrary
from profiler.unwind.table import UnwindTable
from profiler.wire.unwind import (
    BP_AT_BP,
    BP_AT_CFA,
    BP_LOST,
    BP_SAME,
    KIND_CLONE,
    KIND_END,
    KIND_NONE,
    KIND_PLT,
    KIND_RBP,
    KIND_REGISTER,
    KIND_RSP,
    KIND_SHIFT,
    KIND_SIGNAL,
    KIND_WIDE,
    OFFSET_MASK,
    SLOT_LOST,
    SLOT_SHIFT,
    WIDE_RULE,
    word,
)

MAX_FRAMES = 2048  # as many as the kernel's programs follow at most
_LOW = 0xFFFFFFFF
_LEAST_ADDRESS, _ADDRESS_BITS = 4096, 56
_RAX, _RBX, _RBP, _RSP = 0, 3, 6, 7  # by DWARF number
# Offsets from rsp in a signal's frame: of uc_mcontext.gregs, REG_RBP, _RBX, _RSP and _RIP (glibc,
# sys/ucontext.h).
_SIGNAL_RBP, _SIGNAL_RBX, _SIGNAL_RSP, _SIGNAL_RIP = 120, 128, 160, 168

ReadWord = Callable[[int], int | None]


class _Stopped(Exception):
    """Why a stack ended: one of CAUSES in profiler/wire/unwind.py."""


@dataclass(frozen=True, slots=True)
class WalkedStack:
    """Frames leaf first: where execution was, then addresses inside the calls.

    `tops` has for each frame where its part of the stack begins: rsp as it was in it. `cause` is
    None when the stack reaches where the thread began, else why it ended.
    """

    frames: tuple[int, ...]
    tops: tuple[int, ...]
    cause: str | None


@dataclass(frozen=True, slots=True)
class _Rule:
    kind: int
    slot: int
    offset: int
    table: UnwindTable


class Rules:
    """Finds the rule for an address of one target; remembers those that it met."""

    def __init__(self, code: TargetCode, library: TableLibrary) -> None:
        self._code = code
        self._library = library
        self._known: dict[int, _Rule | str] = {}

    def at(self, address: int) -> _Rule | str:
        """Return the rule for an address, or why there is none."""
        rule = self._known.get(address)
        if rule is None:
            rule = self._known[address] = self._find(address)
        return rule

    def _find(self, address: int) -> _Rule | str:
        loaded = self._code.at(address)
        if loaded is None or loaded.mapping.path == TRAMPOLINES:
            return "unknown mapping"
        if loaded.file is None or loaded.bias is None:
            return "no table"
        table = self._library.table(loaded.file)
        if not table.rows:
            return "no table"
        offset = address - loaded.bias - table.base
        index = bisect_right(table.rows, offset << 32 | _LOW) - 1 if offset >= 0 else -1
        found = table.rows[index] & _LOW if index >= 0 else word(KIND_NONE)
        if found >> KIND_SHIFT == KIND_NONE:
            return "no rule"
        slot = found >> SLOT_SHIFT & 0xFF
        slot = slot - 256 if slot > 127 else slot
        return _Rule(found >> KIND_SHIFT, slot, found & OFFSET_MASK, table)


class _Walk:
    """One stack while it is followed. `registers`: the leaf's by DWARF number, if all are known."""

    def __init__(self, rules: Rules, read: ReadWord, ip: int, registers: Sequence[int | None]):
        self._rules = rules
        self._read = read
        self._registers = registers
        self.ip, self.sp = ip, registers[_RSP] or 0
        self.rbp, self.rbx = registers[_RBP], registers[_RBX]
        self.is_exact = True
        self.frames: list[int] = []
        self.tops: list[int] = []

    def to_the_end(self) -> WalkedStack:
        cause: str | None = "too deep"
        try:
            while len(self.frames) < MAX_FRAMES:
                if self._step():
                    cause = None
                    break
        except _Stopped as stopped:
            cause = str(stopped)
        return WalkedStack(tuple(self.frames), tuple(self.tops), cause)

    def _step(self) -> bool:
        """Add the current frame and go to its caller; return whether that was the last one."""
        pc = self.ip if self.is_exact else self.ip - 1
        self.frames.append(pc)
        self.tops.append(self.sp)
        rule = self._rules.at(pc)
        if isinstance(rule, str):
            raise _Stopped(rule)
        if not rule.table.follows_bx:
            self.rbx = None
        kind, slot, cfa = rule.kind, rule.slot, 0
        if kind == KIND_RSP:
            cfa = self.sp + 8 * rule.offset
        elif kind == KIND_RBP:
            cfa = _known(self.rbp) + 8 * rule.offset
        elif kind == KIND_END:
            return True
        elif kind == KIND_WIDE:
            cfa, slot = self._wide(rule), 0
        elif kind == KIND_PLT:
            cfa, slot = self.sp + 8 * rule.offset + (8 if pc & 15 >= slot else 0), 0
        elif kind == KIND_CLONE:
            # The child has 0 from its system call, the parent its number.
            if len(self.frames) == 1 and self._registers[_RAX] == 0:
                return True
            cfa, slot = self.sp + 8, 0
        elif kind == KIND_SIGNAL:
            self._leave_signal()
            return False
        elif kind == KIND_REGISTER:
            self.ip, self.sp = self._register(slot & 15), self.sp + 8 * rule.offset
            self.is_exact = False
            return False
        else:
            raise _Stopped("unsupported rule")
        self._return(cfa, slot)
        return False

    def _return(self, cfa: int, slot: int) -> None:
        if cfa <= self.sp:
            raise _Stopped("stack went backwards")
        caller = self._word(cfa - 8)
        if slot:
            self.rbp = None if slot == SLOT_LOST else self._word(cfa + 8 * slot)
        if caller < _LEAST_ADDRESS or caller >> _ADDRESS_BITS:
            raise _Stopped("bad return address")
        self.ip, self.sp, self.is_exact = caller, cfa, False

    def _wide(self, rule: _Rule) -> int:
        """Return the CFA by a rule that has no form as a word; restore rbp and rbx by it."""
        at = rule.offset * WIDE_RULE.size
        register, is_memory, how, bx, offset, added, where = WIDE_RULE.unpack_from(
            rule.table.rules, at
        )
        value = self._register(register) + offset
        cfa = int((self._word(value) if is_memory else value) + added)
        if bx:
            self.rbx = None if bx == SLOT_LOST else self._word(cfa + 8 * bx)
        if how == BP_LOST or (how == BP_AT_BP and self.rbp is None):
            self.rbp = None
        elif how == BP_AT_CFA:
            self.rbp = self._word(cfa + where)
        elif how == BP_AT_BP and not (not is_memory and self._rbp_is_back(cfa)):
            self.rbp = self._word(_known(self.rbp) + where)
        elif how not in (BP_SAME, BP_AT_BP):
            raise _Stopped("unsupported rule")
        return cfa

    def _rbp_is_back(self, cfa: int) -> bool:
        # See unwind_bp_is_back in bpf/unwind.h.
        original, copy = self._read(cfa - 8), self._read(_known(self.rbp) + 8)
        return original is None or copy is None or original != copy

    def _leave_signal(self) -> None:
        places = (_SIGNAL_RBP, _SIGNAL_RBX, _SIGNAL_RSP, _SIGNAL_RIP)
        self.rbp, self.rbx, self.sp, self.ip = (self._word(self.sp + at) for at in places)
        self.is_exact = True

    def _register(self, number: int) -> int:
        if number == _RSP:
            return self.sp
        if number == _RBP:
            return _known(self.rbp)
        if number == _RBX and self.rbx is not None:
            return self.rbx
        return _known(self._registers[number & 15] if len(self.frames) == 1 else None)

    def _word(self, address: int) -> int:
        value = self._read(address)
        if value is None:
            raise _Stopped("unreadable stack")
        return value


def _known(value: int | None) -> int:
    if value is None:
        raise _Stopped("unsupported rule")
    return value


def walk(rules: Rules, read: ReadWord, ip: int, registers: Sequence[int | None]) -> WalkedStack:
    """Return the stack of a thread.

    `registers` are by DWARF number, None where they are not known. `read` returns the eight bytes
    at an address of its memory, as a number; None where they cannot be read.
    """
    return _Walk(rules, read, ip, registers).to_the_end()
