"""Constant arguments of direct calls, as far as straight-line code shows them.

Calling convention: x86-64 psABI 3.2.3; integer arguments are in six registers, further ones on the
stack at the call. A value is an address or a number that an instruction holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from profiler.binary.instructions import ARGUMENTS, RSP, Flow, Instruction

_STORES = ("mov", "movd", "movq")
_FRESH_BASE = 1 << 32  # further than the stack pointer moves inside one function
_MOST_SLOTS = 64  # that are known at once: arguments are among the latest
_LEAVES = (Flow.JUMP, Flow.INDIRECT_JUMP, Flow.RETURN, Flow.TRAP)


@dataclass(frozen=True, slots=True)
class Call:
    """A direct call, or a jump out of the function, to something with a name.

    `values` holds the wanted arguments by position, those that are known.
    """

    address: int
    callee: str
    values: dict[int, int]


NameOf = Callable[[Instruction], str | None]  # the callee of a call or jump, if it has a name
Wanted = Callable[[str], Iterable[int]]  # positions of the arguments that are of interest


def calls(
    code: tuple[Instruction, ...], name_of: NameOf, wanted: Wanted, strict: bool = False
) -> Iterator[Call]:
    """Yield the calls of named functions in one function's `code`, in the order of addresses.

    What is known is carried through the code in that order. Where paths meet, values may be those
    of another path; with `strict` they are forgotten there.
    """
    end = code[-1].end if code else 0
    labels = {i.target for i in code if i.flow in (Flow.JUMP, Flow.BRANCH)} if strict else set()
    state = State()
    for instruction in code:
        if instruction.address in labels:
            state.forget_values()
        state.arrive(instruction.address)
        if _leaves_function(instruction, code[0].address, end):
            name = name_of(instruction)
            if name is not None:
                pushed = 0 if instruction.flow in (Flow.CALL, Flow.INDIRECT_CALL) else 8
                values = {position: state.argument(position, pushed) for position in wanted(name)}
                known = {key: value for key, value in values.items() if value is not None}
                yield Call(instruction.address, name, known)
        state.step(instruction)


def _leaves_function(instruction: Instruction, start: int, end: int) -> bool:
    if instruction.flow in (Flow.CALL, Flow.INDIRECT_CALL, Flow.INDIRECT_JUMP):
        return True
    target = instruction.target
    return instruction.flow is Flow.JUMP and target is not None and not start <= target < end


class State:
    """Known values of registers and stack slots.

    Slots count from rsp at the function's entry, or from where rsp was when it became unknown: how
    far that is from the entry does not matter to what code pushes itself.
    """

    def __init__(self) -> None:
        """Know nothing but where the stack begins."""
        self._registers: dict[int, int] = {}
        self._slots: dict[int, int] = {}
        self._depth = 0
        self._depths: dict[int, int] = {}  # at the targets of jumps seen so far
        self._fresh_count = 0

    @property
    def size(self) -> int:
        """Number of values that are known."""
        return len(self._registers) + len(self._slots)

    def argument(self, position: int, pushed: int) -> int | None:
        """Return an argument, None when unknown; `pushed`: bytes between rsp and the first."""
        if position < len(ARGUMENTS):
            return self._registers.get(ARGUMENTS[position])
        return self._slots.get(self._depth + pushed + 8 * (position - len(ARGUMENTS)))

    def forget_values(self) -> None:
        """Forget all but where the stack is."""
        self._registers.clear()
        self._slots.clear()

    def copy(self) -> State:
        """Return a state of its own with the same values."""
        made = State()
        made._registers, made._depth = self._registers.copy(), self._depth
        made._slots, made._fresh_count = self._slots.copy(), self._fresh_count
        return made

    def keep_common(self, other: State) -> bool:
        """Forget what another path to the same instruction does not agree to; return whether any.

        The stack pointer is the same on both, wherever they began to count.
        """
        distance = self._depth - other._depth
        moved = {slot + distance: value for slot, value in other._slots.items()}
        registers = dict(self._registers.items() & other._registers.items())
        slots = dict(self._slots.items() & moved.items())
        is_less = len(registers) < len(self._registers) or len(slots) < len(self._slots)
        self._registers, self._slots = registers, slots
        return is_less

    def arrive(self, address: int) -> None:
        """Take the stack pointer over from a jump to an address."""
        self._depth = self._depths.get(address, self._depth)

    def step(self, instruction: Instruction) -> None:
        """Follow one instruction."""
        flow, target = instruction.flow, instruction.target
        if flow in (Flow.JUMP, Flow.BRANCH) and target is not None:
            self._depths.setdefault(target, self._depth)
        if flow in _LEAVES:
            self._forget_depth()
        elif instruction.mnemonic == "push":
            self._push(instruction)
        elif instruction.mnemonic in _STORES and instruction.first is None:
            self._store(instruction)
        else:
            self._write(instruction)

    def _forget_depth(self) -> None:
        self._fresh_count += 1
        self._depth = self._fresh_count * _FRESH_BASE

    def _push(self, instruction: Instruction) -> None:
        if instruction.stack_delta is not None:
            self._depth += instruction.stack_delta
            self._put_slot(self._depth, self._source(instruction, instruction.first))

    def _store(self, instruction: Instruction) -> None:
        offset = _stack_offset(instruction)
        if offset is not None:
            self._put_slot(self._depth + offset, self._source(instruction, instruction.second))

    def _write(self, instruction: Instruction) -> None:
        value = self._result(instruction)
        if instruction.stack_delta is None:
            self._forget_depth()
        else:
            self._depth += instruction.stack_delta
        known, changes = self._registers, instruction.changes
        for register in [key for key in known if changes >> key & 1] if known else ():
            del known[register]
        if value is not None and instruction.first is not None:
            self._registers[instruction.first] = value

    def _result(self, instruction: Instruction) -> int | None:
        """Return what lands in the first operand, when that is a register and known."""
        if instruction.first is None or instruction.operand_bytes < 4:
            return None
        if instruction.mnemonic == "lea":
            return instruction.memory.address if instruction.memory is not None else None
        if instruction.mnemonic == "mov" and instruction.memory is None:
            return self._source(instruction, instruction.second)
        return None

    def _source(self, instruction: Instruction, register: int | None) -> int | None:
        return instruction.immediate if register is None else self._registers.get(register)

    def _put_slot(self, slot: int, value: int | None) -> None:
        """Take note of what a slot holds; forget the one furthest from the top if there are many.

        Code of the target's files decides how many it writes.
        """
        if value is None:
            self._slots.pop(slot, None)
            return
        self._slots[slot] = value
        if len(self._slots) > _MOST_SLOTS:
            del self._slots[max(self._slots, key=lambda known: abs(known - self._depth))]


def _stack_offset(instruction: Instruction) -> int | None:
    """Return d of an operand d(%rsp), None without one."""
    memory = instruction.memory
    if memory is None or memory.base != RSP or memory.index is not None or memory.segment:
        return None
    return memory.displacement
