"""As rules.py, for the few files that keep a frame in rbx: their rules say where rbx is, too.

Such are the dynamic linker's entries from code that calls what is not yet bound, and from accesses
to thread-local storage (glibc, sysdeps/x86_64/dl-trampoline.h and dl-tlsdesc-dynamic.h). Every
instruction is executed by a Machine: these files are small.
"""

from __future__ import annotations

import struct

from profiler.binary.call_frames import Cie
from profiler.unwind.machine import OTHER, RBX, START, Machine, Place, State
from profiler.unwind.rules import MAX_PROGRAM_BYTES, Programs, RuleWords, register_slot, set_up
from profiler.wire.unwind import SLOT_LOST

MAX_FOLLOWED_BYTES = 1 << 20  # of a file's programs; ld.so has 9 KB, libtsan 80


class RbxMachine(Machine):
    """A machine that follows rbx as well."""

    __slots__ = ("_initial_rbx", "rbx")

    def __init__(self, cie: Cie, initial: State, state: State, initial_rbx: Place) -> None:
        super().__init__(cie, initial, state)
        self._initial_rbx = self.rbx = initial_rbx

    def _set(self, register: int, place: Place) -> None:
        if register == RBX:
            self.rbx = place
        else:
            super()._set(register, place)

    def _initially(self, register: int) -> Place:
        return self._initial_rbx if register == RBX else super()._initially(register)


class RbxWords(RuleWords):
    """Packs states with the place of rbx."""

    def __init__(self) -> None:
        super().__init__()
        self._packed: dict[tuple[State, Place], int] = {}

    def pack_both(self, state: State, rbx: Place) -> int:
        """Return the word for a state and a place of rbx."""
        key = (state, rbx)
        if key not in self._packed:
            slot = register_slot(rbx)
            # What holds a frame's address is not the caller's value any more. The entries for
            # thread-local storage do not say where they saved that.
            if slot is None or (slot == 0 and _finds_cfa(state)):
                slot = SLOT_LOST
            self._packed[key] = self._pack(state, slot)
        return self._packed[key]


def _finds_cfa(state: State) -> bool:
    cfa = state[0]
    return (cfa[1] if isinstance(cfa, tuple) else cfa) == RBX


class RbxPrograms(Programs):
    """Executes programs into rows that say what becomes of rbx."""

    rules: RbxWords

    def __init__(self, rules: RbxWords) -> None:
        super().__init__(rules)
        self._places: dict[int, Place] = {}  # of rbx, by CIE

    def _start(self, cie: Cie) -> State | None:
        machine = RbxMachine(cie, START, START, None)
        set_up(machine, cie)
        self._places[id(cie)] = machine.rbx
        return super()._start(cie)

    def _execute(self, program: bytes, cie: Cie, start: State | None) -> tuple[int, ...]:
        if start is None or len(program) > MAX_PROGRAM_BYTES:
            return (self.rules.pack(START),)
        machine = RbxMachine(cie, start, start, self._places[id(cie)])
        rows: dict[int, int] = {}  # words by place, which only grows
        saved: list[tuple[State, Place]] = []
        at = 0
        try:
            while at < len(program):
                if program[at] == 0x0A:  # DW_CFA_remember_state
                    saved.append((machine.state, machine.rbx))
                    at += 1
                elif program[at] == 0x0B:  # DW_CFA_restore_state
                    machine.state, machine.rbx = saved.pop()
                    at += 1
                else:
                    state, place = (machine.state, machine.rbx), machine.advance
                    at = machine.step(program, at)
                    if machine.advance != place:
                        rows[place] = self.rules.pack_both(*state)
        except (IndexError, struct.error):
            machine.state, machine.rbx = START, OTHER
        rows[machine.advance] = self.rules.pack_both(machine.state, machine.rbx)
        return _changes(rows)


def _changes(rows: dict[int, int]) -> tuple[int, ...]:
    found: list[int] = []
    for place, word in rows.items():
        if not found or found[-1] & 0xFFFFFFFF != word:
            found.append(place << 32 | word)
    return tuple(found)
