"""Turns call frame instructions into rules, packed into words for the kernel.

A rule says where the caller's frame is: the canonical frame address (CFA), the return address and
rbp. The word's layout is bpf/unwind_wire.h's.

A few files keep a frame in rbx; their rules say where rbx is, too. Such are the dynamic linker's
entries from code that calls what is not yet bound, and from accesses to thread-local storage
(glibc, sysdeps/x86_64/dl-trampoline.h and dl-tlsdesc-dynamic.h).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from profiler.binary.call_frames import Cie
from profiler.unwind.machine import (
    RBP,
    RBX,
    RIP,
    RSP,
    START,
    UNDEFINED,
    Cfa,
    InRegister,
    Machine,
    Place,
    State,
)
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

MAX_WIDE_RULES = 1 << 12  # libcrypto has 39
MAX_PROGRAM_BYTES = 1 << 15  # the longest that we met has 9971 (libepoxy)
RA_USUAL = -8
BAD = word(KIND_BAD)

# rt_sigframe: rsp points at ucontext, whose uc_mcontext.gregs start at 40 (glibc sys/ucontext.h).
SIGNAL: State = (("deref", RSP, 160, 0), 0, (RSP, 120), (RSP, 168), None)
BEGINS = "begins"  # the return address of code that a new thread runs, too: that has none


@dataclass(frozen=True, slots=True)
class Span:
    """Code [start, end) that has one rule."""

    start: int
    end: int
    state: State


class RuleWords:
    """Packs states into 32-bit words; what does not fit goes into `wide`, or is BAD."""

    def __init__(self, follows_rbx: bool = False) -> None:
        self.follows_rbx = follows_rbx
        self._words: dict[State, int] = {}
        self.wide: list[bytes] = []
        self.is_full = False  # a rule is BAD only because `wide` has no room for it
        self.uses_rbx = False  # some CFA is found by it

    def pack(self, state: State) -> int:
        """Return the word for a state."""
        if state not in self._words:
            self._words[state] = self._pack(state)
        return self._words[state]

    def _pack(self, state: State) -> int:
        cfa, offset, rbp, ra, rbx = state
        if ra == UNDEFINED:
            return word(KIND_END)
        if (cfa, rbp, ra) == (SIGNAL[0], SIGNAL[2], SIGNAL[3]):
            return word(KIND_SIGNAL)
        if ra == BEGINS:
            return word(KIND_CLONE)
        bx = _rbx_slot(cfa, rbx) if self.follows_rbx else 0
        if isinstance(ra, InRegister):
            usual = cfa == RSP and rbp is None and not bx and 0 <= offset < 1 << 20
            known = usual and not offset & 7 and ra.number < RIP
            return word(KIND_REGISTER, ra.number, offset >> 3) if known else BAD
        if ra != RA_USUAL:
            return BAD
        if isinstance(cfa, tuple) and cfa[0] == "plt" and rbp is None and not bx:
            return word(KIND_PLT, cfa[3], cfa[2] >> 3)
        if isinstance(rbp, tuple) and cfa == RSP:
            # Saved where rbp points, but the frame is rsp's again: GCC forgets to say that rbp
            # is back, at the end of functions that realign their stack.
            rbp = None
        slot = _slot(rbp)
        fits = not bx and offset >= 0 and not offset & 7 and offset >> 3 < 1 << 20
        if slot is not None and fits and cfa == RSP:
            return word(KIND_RSP, slot, offset >> 3)
        if slot is not None and fits and cfa == RBP:
            return word(KIND_RBP, slot, offset >> 3)
        return self._pack_wide(cfa, offset, rbp, bx)

    def _pack_wide(self, cfa: Cfa, offset: int, rbp: Place, bx: int) -> int:
        added, is_memory = 0, 0
        if isinstance(cfa, tuple):
            if cfa[0] != "deref":
                return BAD
            _, cfa, offset, added = cfa
            is_memory = 1
        if not isinstance(cfa, int) or cfa >= 16:
            return BAD
        how, where = _wide_place(rbp)
        if max(abs(offset), abs(added), abs(where)) >= 1 << 31:
            return BAD
        packed = WIDE_RULE.pack(cfa, is_memory, how, bx, offset, added, where)
        if len(self.wide) >= MAX_WIDE_RULES:
            self.is_full = True
            return BAD
        self.wide.append(packed)
        self.uses_rbx = self.uses_rbx or cfa == RBX
        return word(KIND_WIDE, 0, len(self.wide) - 1)


def _slot(place: Place) -> int | None:
    """Return a slot: 0 kept, n < 0 saved at CFA + 8 n, SLOT_LOST; None when it has no form."""
    if place is None:
        return 0
    if isinstance(place, int):
        return place >> 3 if not place & 7 and -127 <= place >> 3 < 0 else None
    return SLOT_LOST if isinstance(place, str) else None


def _rbx_slot(cfa: Cfa, rbx: Place) -> int:
    slot = _slot(rbx)
    finds_cfa = (cfa[1] if isinstance(cfa, tuple) else cfa) == RBX
    # What holds a frame's address is not the caller's value any more. The entries for thread-local
    # storage do not say where they saved that.
    return SLOT_LOST if slot is None or (slot == 0 and finds_cfa) else slot


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
        # By the CIE's identity, which is kept alive here.
        self._starts: dict[int, tuple[Cie, State | None]] = {}
        self._done: dict[tuple[int, bytes], tuple[int, ...]] = {}

    def rows(self, cie: Cie | None, program: bytes) -> tuple[int, ...]:
        """Return an entry's rows, offset from its start << 32 | word, ascending."""
        if cie is None:
            return (self.rules.pack(START),)
        key = (id(cie), program)
        rows = self._done.get(key)
        if rows is None:
            if key[0] not in self._starts:
                self._starts[key[0]] = cie, initial_state(cie, self.rules.follows_rbx)
            rows = self._done[key] = execute(program, *self._starts[key[0]], self.rules)
        return rows


def initial_state(cie: Cie, follows_rbx: bool = False) -> State | None:
    """Return the state that a CIE's own instructions set up, None when they cannot be followed."""
    machine = Machine(cie, START, START, follows_rbx)
    at, program = 0, cie.program
    try:
        while at < len(program):
            at = machine.step(program, at)
    except (IndexError, struct.error):
        return None
    return None if machine.advance or cie.return_register != RIP else machine.state


def execute(program: bytes, cie: Cie, start: State | None, rules: RuleWords) -> tuple[int, ...]:
    """Return the rows of one program; from where it cannot be followed its rule is BAD."""
    if start is None or len(program) > MAX_PROGRAM_BYTES:
        return (rules.pack(START),)
    machine = Machine(cie, start, start, rules.follows_rbx)
    rows: list[int] = []
    shown: State | None = None  # by the last row
    at = 0
    try:
        while at < len(program):
            state, place = machine.state, machine.advance
            at = machine.step(program, at)
            if machine.advance != place and state != shown:
                rows.append(place << 32 | rules.pack(state))
                shown = state
    except (IndexError, struct.error):
        machine.state = START
    if machine.state != shown:
        rows.append(machine.advance << 32 | rules.pack(machine.state))
    return tuple(rows)
