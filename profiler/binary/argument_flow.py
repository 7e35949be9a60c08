"""Constant arguments of the call at one address, the same on all paths that lead to it.

Values are followed along the jumps of one function (a forward data flow analysis), and forgotten
where paths that meet do not agree. Code that only an indirect jump reaches, as the cases of a
switch, begins with nothing known.
"""

from __future__ import annotations

from collections.abc import Iterable

from profiler.binary.call_arguments import State
from profiler.binary.instructions import Flow, Instruction

# Instructions followed, in all rounds, and values copied; a function has 33,000 at most.
_MAX_STEPS = 1 << 18
_LEAVES = (Flow.JUMP, Flow.INDIRECT_JUMP, Flow.RETURN, Flow.TRAP)
_PADDING = ("nop", "xchg")  # between functions' parts, never run
_JUMPS = (Flow.JUMP, Flow.BRANCH)


def arguments_at(
    code: tuple[Instruction, ...], address: int, positions: Iterable[int]
) -> dict[int, int]:
    """Return the known arguments of the call at `address`, by position."""
    index = {instruction.address: at for at, instruction in enumerate(code)}
    if address not in index:
        return {}
    state = _Flow(code, index).before(address)
    found = {position: state.argument(position, 0) for position in positions}
    return {position: value for position, value in found.items() if value is not None}


class _Flow:
    """States before the instructions where paths meet, and before the one that is asked for."""

    def __init__(self, code: tuple[Instruction, ...], index: dict[int, int]) -> None:
        self._code = code
        self._index = index
        self._steps_left = _MAX_STEPS
        self._joins = {i.target for i in code if i.flow in _JUMPS and i.target in index}
        self._states: dict[int, State] = {}
        self._waiting: list[int] = []

    def before(self, address: int) -> State:
        """Return what is known before an instruction; nothing, where that takes too long."""
        self._joins.add(address)
        self._joins.add(self._code[0].address)
        self._reach(self._code[0].address, State())
        self._follow()
        for start in self._starts():
            self._joins.add(start)
            self._reach(start, State())
            self._follow()
        return self._states[address] if self._is_done(address) else State()

    def _starts(self) -> list[int]:
        """Return where code begins that no jump and no straight line leads to."""
        found = []
        is_open = False
        for instruction in self._code:
            if is_open and instruction.mnemonic not in _PADDING:
                if instruction.address not in self._joins:
                    found.append(instruction.address)
                is_open = False
            is_open = is_open or instruction.flow in _LEAVES
        return found

    def _is_done(self, address: int) -> bool:
        return address in self._states and self._steps_left > 0

    def _follow(self) -> None:
        while self._waiting and self._steps_left > 0:
            address = self._waiting.pop()
            self._run(self._index[address], self._states[address].copy())

    def _run(self, at: int, state: State) -> None:
        """Follow a straight line until paths meet or it ends."""
        first = at
        while at < len(self._code) and self._steps_left > 0:
            instruction = self._code[at]
            if at > first and instruction.address in self._joins:
                self._reach(instruction.address, state)
                return
            self._steps_left -= 1
            if instruction.flow in _JUMPS and instruction.target in self._index:
                self._reach(instruction.target, state)
            if instruction.flow in _LEAVES:
                return
            state.step(instruction)
            at += 1

    def _reach(self, address: int, state: State) -> None:
        """Take note of a path to an instruction; follow it on if that changes what is known."""
        known = self._states.get(address)
        self._steps_left -= state.size
        if known is None:
            self._states[address] = state.copy()
        elif not known.keep_common(state):
            return
        self._waiting.append(address)
