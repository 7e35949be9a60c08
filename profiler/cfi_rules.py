"""Executes call frame instructions and packs the rules they give into words for the kernel.

A rule says where the caller's frame is: the canonical frame address (CFA), the return address and
rbp. Source: DWARF 4 section 6.4.2, x86-64 psABI table 3.36 (register numbers), GNU extensions as
binutils writes them. The word's layout is bpf/unwind_wire.h's.
"""

from __future__ import annotations

import struct
from collections import Counter

from profiler.cfi import Cie, read_sleb, read_uleb
from profiler.unwind_wire import (
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

RBP, RSP, RIP = 6, 7, 16
MAX_WIDE_RULES = 1 << 12  # libcrypto has 100

# What a register is restored from: None (it kept its value), an offset from the CFA, or one of:
Place = int | str | tuple[int, int] | None
UNDEFINED = "undefined"
OTHER = "other"  # a rule that we cannot follow; (register, offset) is memory at register + offset
RA_USUAL = -8

# What the CFA is: a register (plus the offset beside it), or an expression.
Cfa = int | str | tuple[str, int, int, int]  # ("deref", register, offset, added), ("plt", 7, 8, n)
State = tuple[Cfa, int, Place, Place]  # CFA, offset, place of rbp, place of the return address
START: State = (OTHER, 0, None, None)

# rt_sigframe: rsp points at ucontext, whose uc_mcontext.gregs start at 40 (glibc sys/ucontext.h).
_SIGNAL = (("deref", RSP, 160, 0), (RSP, 120), (RSP, 168))


class RuleWords:
    """Packs states into 32-bit words; what does not fit goes into `wide`, or is BAD and counted."""

    def __init__(self) -> None:
        self.words: dict[State, int] = {}
        self.wide: list[bytes] = []
        self.bad: Counter[str] = Counter()

    def pack(self, state: State) -> int:
        """Return the word for a state; remembered in `words`."""
        packed = self.words[state] = self._pack(state)
        return packed

    def _pack(self, state: State) -> int:
        cfa, offset, rbp, ra = state
        if ra == UNDEFINED:
            return word(KIND_END)
        if (cfa, rbp, ra) == _SIGNAL:
            return word(KIND_SIGNAL)
        if ra != RA_USUAL:
            return self._reject("return address not below the CFA")
        if isinstance(cfa, tuple) and cfa[0] == "plt" and rbp is None:
            return word(KIND_PLT, cfa[3], cfa[2] >> 3)
        slot = _slot(rbp)
        fits = offset >= 0 and not offset & 7 and offset >> 3 < 1 << 20
        if slot is not None and fits and cfa == RSP:
            return word(KIND_RSP, slot, offset >> 3)
        if slot is not None and fits and cfa == RBP:
            return word(KIND_RBP, slot, offset >> 3)
        return self._pack_wide(cfa, offset, rbp)

    def _pack_wide(self, cfa: Cfa, offset: int, rbp: Place) -> int:
        added, is_memory = 0, 0
        if isinstance(cfa, tuple):
            if cfa[0] != "deref":
                return self._reject("CFA expression")
            _, cfa, offset, added = cfa
            is_memory = 1
        if not isinstance(cfa, int) or cfa >= 16:
            return self._reject("CFA expression")
        how, where = _wide_place(rbp)
        if max(abs(offset), abs(added), abs(where)) >= 1 << 31:
            return self._reject("offset too large")
        packed = WIDE_RULE.pack(cfa, is_memory, how, offset, added, where)
        if len(self.wide) >= MAX_WIDE_RULES:
            return self._reject("too many unusual rules")
        self.wide.append(packed)
        return word(KIND_WIDE, 0, len(self.wide) - 1)

    def _reject(self, reason: str) -> int:
        self.bad[reason] += 1
        return word(KIND_BAD)


def _slot(rbp: Place) -> int | None:
    # The slot in the word: 0 kept, n < 0 saved at CFA + 8 n, SLOT_LOST; None when it has no form.
    if rbp is None:
        return 0
    if isinstance(rbp, int):
        return rbp >> 3 if not rbp & 7 and -127 <= rbp >> 3 < 0 else None
    return SLOT_LOST if isinstance(rbp, str) else None


def _wide_place(rbp: Place) -> tuple[int, int]:
    if rbp is None:
        return BP_SAME, 0
    if isinstance(rbp, int):
        return BP_AT_CFA, rbp
    if isinstance(rbp, tuple) and rbp[0] == RBP:
        return BP_AT_BP, rbp[1]
    return BP_LOST, 0


class Programs:
    """Executes the programs of one section's entries, each different one once."""

    def __init__(self, rules: RuleWords) -> None:
        self.rules = rules
        self._starts: dict[int, State | None] = {}
        self.done: dict[tuple[int, bytes], tuple[int, ...]] = {}
        self._cies: list[Cie] = []  # keeps them alive: we know them by identity

    def rows(self, cie: Cie | None, program: bytes) -> tuple[int, ...]:
        """Return rows `offset << 32 | word` of an entry, ascending; offsets count from its start."""
        if cie is None:
            return (self.rules.pack(START),)
        key = (id(cie), program)
        rows = self.done.get(key)
        if rows is None:
            start = self._starts[key[0]] if key[0] in self._starts else self._start(cie)
            rows = self.done[key] = execute(program, cie, start, self.rules)
        return rows

    def _start(self, cie: Cie) -> State | None:
        self._cies.append(cie)
        self._starts[id(cie)] = start = initial_state(cie)
        return start


def initial_state(cie: Cie) -> State | None:
    """Return the state that a CIE's own instructions set up, None when they cannot be followed."""
    machine = Machine(cie, START, START)
    at, program = 0, cie.program
    try:
        while at < len(program):
            at = machine.step(program, at)
    except (IndexError, struct.error):
        return None
    return None if machine.advance or cie.return_register != RIP else machine.state


def execute(program: bytes, cie: Cie, start: State | None, rules: RuleWords) -> tuple[int, ...]:
    """Return the rows of one program; from where it cannot be followed its rule is BAD.

    One long loop, because asterisk and its modules have half a million instructions: the ones
    that compilers emit all the time are executed here, the others in Machine.
    """
    if start is None:
        return (rules.pack(START),)
    words, code_align, data_align = rules.words, cie.code_align, cie.data_align
    cfa, offset, rbp, ra = start
    rows: list[int] = []
    saved: list[State] = []
    at, end, place, dirty = 0, len(program), 0, True
    try:
        while at < end:
            op = program[at]
            at += 1
            if op < 0x40:
                if op == 0x0E and program[at] < 0x80:  # DW_CFA_def_cfa_offset
                    offset = program[at]
                    at += 1
                    dirty = True
                elif op == 0x0A:  # DW_CFA_remember_state
                    saved.append((cfa, offset, rbp, ra))
                elif op == 0x0B:  # DW_CFA_restore_state
                    cfa, offset, rbp, ra = saved.pop()
                    dirty = True
                elif op:
                    state = (cfa, offset, rbp, ra)
                    machine = Machine(cie, start, state)
                    at = machine.step(program, at - 1)
                    if machine.advance and dirty:
                        rows.append(place << 32 | (words.get(state) or rules.pack(state)))
                        dirty = False
                    place += machine.advance
                    cfa, offset, rbp, ra = machine.state
                    dirty = dirty or machine.state != state
            elif op < 0x80:  # DW_CFA_advance_loc
                if dirty and op > 0x40:
                    state = (cfa, offset, rbp, ra)
                    rows.append(place << 32 | (words.get(state) or rules.pack(state)))
                    dirty = False
                place += (op & 0x3F) * code_align
            elif op & 0x3F in (RBP, RIP):  # DW_CFA_offset, DW_CFA_restore
                machine = Machine(cie, start, (cfa, offset, rbp, ra))
                at = machine.step(program, at - 1)
                cfa, offset, rbp, ra = machine.state
                dirty = True
            elif op < 0xC0:  # DW_CFA_offset of a register that we do not follow
                while program[at] >= 0x80:
                    at += 1
                at += 1
    except (IndexError, struct.error):
        cfa, offset, rbp, ra = START
        dirty = True
    if dirty:
        state = (cfa, offset, rbp, ra)
        rows.append(place << 32 | (words.get(state) or rules.pack(state)))
    return tuple(rows)


class Machine:
    """Executes one call frame instruction at a time."""

    __slots__ = ("_cie", "_initial", "advance", "state")

    def __init__(self, cie: Cie, initial: State, state: State) -> None:
        self._cie = cie
        self._initial = initial
        self.state = state
        self.advance = 0  # bytes of code that the instructions advanced by

    def step(self, program: bytes, at: int) -> int:
        """Execute the instruction at `at`, return where the next is; IndexError if it cannot be."""
        op = program[at]
        at += 1
        if op >= 0xC0:
            self._set(op & 0x3F, self._initially(op & 0x3F))
        elif op >= 0x80:
            value, at = read_uleb(program, at)
            self._set(op & 0x3F, value * self._cie.data_align)
        elif op >= 0x40:
            self.advance += (op & 0x3F) * self._cie.code_align
        elif op in _ADVANCES:
            field = _ADVANCES[op]
            self.advance += field.unpack_from(program, at)[0] * self._cie.code_align
            at += field.size
        elif op in _CFA_OPS:
            at = self._cfa(op, program, at)
        elif op == 0x2E:  # DW_CFA_GNU_args_size
            at = read_uleb(program, at)[1]
        elif op:
            at = self._register(op, program, at)
        return at

    def _cfa(self, op: int, program: bytes, at: int) -> int:
        cfa, offset, rbp, ra = self.state
        if op == 0x0F:  # def_cfa_expression
            size, at = read_uleb(program, at)
            cfa = _cfa_expression(program[at : at + size])
            at += size
            if at > len(program):
                raise IndexError("an expression beyond the end")
        if op in (0x0C, 0x0D, 0x12):  # def_cfa, def_cfa_register, def_cfa_sf
            cfa, at = read_uleb(program, at)
        if op in (0x0C, 0x0E):  # def_cfa, def_cfa_offset
            offset, at = read_uleb(program, at)
        if op in (0x12, 0x13):  # def_cfa_sf, def_cfa_offset_sf
            offset, at = read_sleb(program, at)
            offset *= self._cie.data_align
        self.state = (cfa, offset, rbp, ra)
        return at

    def _register(self, op: int, program: bytes, at: int) -> int:
        register, at = read_uleb(program, at)
        place: Place = OTHER
        if op == 0x06:  # restore_extended
            place = self._initially(register)
        elif op == 0x07:  # undefined
            place = UNDEFINED
        elif op == 0x08:  # same_value
            place = None
        elif op in (0x09, 0x14):  # register, val_offset
            at = read_uleb(program, at)[1]
        elif op == 0x15:  # val_offset_sf
            at = read_sleb(program, at)[1]
        elif op in (0x05, 0x2F):  # offset_extended, GNU_negative_offset_extended
            value, at = read_uleb(program, at)
            place = (value if op == 0x05 else -value) * self._cie.data_align
        elif op == 0x11:  # offset_extended_sf
            value, at = read_sleb(program, at)
            place = value * self._cie.data_align
        elif op in (0x10, 0x16):  # expression, val_expression
            size, at = read_uleb(program, at)
            place = _place_expression(program[at : at + size]) if op == 0x10 else OTHER
            at += size
            if at > len(program):
                raise IndexError("an expression beyond the end")
        else:
            raise IndexError(f"instruction {op:#x}")
        self._set(register, place)
        return at

    def _initially(self, register: int) -> Place:
        return self._initial[2] if register == RBP else self._initial[3]

    def _set(self, register: int, place: Place) -> None:
        cfa, offset, rbp, ra = self.state
        if register == RBP:
            self.state = (cfa, offset, place, ra)
        elif register == RIP:
            self.state = (cfa, offset, rbp, place)


# advance_loc1, 2, 4, MIPS_advance_loc8
_ADVANCES = {
    0x02: struct.Struct("<B"),
    0x03: struct.Struct("<H"),
    0x04: struct.Struct("<I"),
    0x1D: struct.Struct("<Q"),
}
_CFA_OPS = frozenset((0x0C, 0x0D, 0x0E, 0x0F, 0x12, 0x13))

_BREG0, _BREG15, _DEREF, _PLUS_UCONST = 0x70, 0x7F, 0x06, 0x23
# and, lit11 or another threshold, ge, lit3, shl, plus: between them the PLT entry's own numbers
_PLT_HEAD = bytes((0x80, 0x00, 0x3F, 0x1A))  # breg16 0, lit15, and
_PLT_TAIL = bytes((0x2A, 0x33, 0x24, 0x22))  # ge, lit3, shl, plus


def _cfa_expression(code: bytes) -> Cfa:
    # The forms that linkers (PLT) and hand-written assembler (a saved stack pointer) use.
    if not code or not _BREG0 <= code[0] <= _BREG15:
        return OTHER
    register = code[0] - _BREG0
    offset, at = read_sleb(code, 1)
    rest = code[at:]
    if len(rest) == 9 and rest[:4] == _PLT_HEAD and rest[5:] == _PLT_TAIL:
        threshold = rest[4] - 0x30
        usual = register == RSP and offset in (8, 16) and 0 <= threshold < 16
        return ("plt", RSP, offset, threshold) if usual else OTHER
    if rest[:1] != bytes((_DEREF,)):
        return OTHER
    added = 0
    if len(rest) > 1:
        if rest[1] != _PLUS_UCONST:
            return OTHER
        added, at = read_uleb(rest, 2)
        if at != len(rest):
            return OTHER
    return ("deref", register, offset, added)


def _place_expression(code: bytes) -> Place:
    # Only "register + offset".
    if not code or not _BREG0 <= code[0] <= _BREG15:
        return OTHER
    offset, at = read_sleb(code, 1)
    return (code[0] - _BREG0, offset) if at == len(code) else OTHER
