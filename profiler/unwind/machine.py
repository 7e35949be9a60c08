"""Executes call frame instructions one at a time.

Followed are the canonical frame address (CFA), rbp, the return address, and rbx where some CFA is
found by it. Sources: DWARF 4 section 6.4.2, the GNU extensions as binutils writes them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from profiler.binary.call_frames import Cie, read_sleb, read_uleb

RBX, RBP, RSP, RIP = 3, 6, 7, 16  # DWARF register numbers, x86-64 psABI table 3.36


@dataclass(frozen=True, slots=True)
class InRegister:
    """The return address is in a register, as in glibc's vfork; `number` is DWARF's."""

    number: int


# What a register is restored from: None (it kept its value), an offset from the CFA, or one of:
Place = int | str | tuple[int, int] | InRegister | None
UNDEFINED = "undefined"
OTHER = "other"  # a rule that we cannot follow; (register, offset) is memory at register + offset

# What the CFA is: a register (plus the offset beside it), or an expression.
Cfa = int | str | tuple[str, int, int, int]  # ("deref", register, offset, added), ("plt", 7, 8, n)
State = tuple[Cfa, int, Place, Place, Place]  # CFA, offset; places of rbp, return address, rbx
START: State = (OTHER, 0, None, None, None)


class Machine:
    """Executes one call frame instruction at a time."""

    __slots__ = ("_cie", "_follows_rbx", "_initial", "_saved", "advance", "state")

    def __init__(self, cie: Cie, initial: State, state: State, follows_rbx: bool) -> None:
        self._cie = cie
        self._initial = initial
        self._follows_rbx = follows_rbx
        self.state = state
        self._saved: list[State] = []
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
        elif op == 0x0A:  # DW_CFA_remember_state
            self._saved.append(self.state)
        elif op == 0x0B:  # DW_CFA_restore_state
            self.state = self._saved.pop()
        elif op == 0x2E:  # DW_CFA_GNU_args_size
            at = read_uleb(program, at)[1]
        elif op:
            at = self._register(op, program, at)
        return at

    def _cfa(self, op: int, program: bytes, at: int) -> int:
        cfa, offset, rbp, ra, rbx = self.state
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
        self.state = (cfa, offset, rbp, ra, rbx)
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
            value, at = read_uleb(program, at)
            if op == 0x09 and register == RIP:
                place = InRegister(value)
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
        _, _, rbp, ra, rbx = self._initial
        return {RBP: rbp, RBX: rbx}.get(register, ra)

    def _set(self, register: int, place: Place) -> None:
        cfa, offset, rbp, ra, rbx = self.state
        if register == RBP:
            self.state = (cfa, offset, place, ra, rbx)
        elif register == RIP:
            self.state = (cfa, offset, rbp, place, rbx)
        elif register == RBX and self._follows_rbx:
            self.state = (cfa, offset, rbp, ra, place)


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
