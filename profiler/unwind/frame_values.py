"""Follows a function's frame from instruction to instruction, where nothing describes it.

Known is only what must be so, whatever way led to an instruction: where rsp and rbp point in the
frame, and where the caller's rbp and rbx and the return address are.
"""

from __future__ import annotations

from operator import itemgetter
from typing import NamedTuple

from profiler.binary import instructions as x86
from profiler.binary.instructions import Flow, Instruction, Memory
from profiler.unwind.machine import RBP, RSP, UNDEFINED, InRegister, Place, State

# What a register or slot holds: an offset from the CFA, one of the values below, None: unknown.
Value = int | str | None
CALLERS_RBP, CALLERS_RBX, RETURN_ADDRESS = "rbp", "rbx", "return address"

RETURN_SLOT = -8  # from the CFA
_SLOT_BYTES = 8
_SLOTS_MAX = 16
_VECTOR_BYTES = 64  # of a store whose size is not told
# DWARF numbers by the hardware's (System V psABI table 3.36)
_DWARF = (0, 2, 1, 3, 7, 6, 4, 5, *range(8, 16))
_SYSCALL_CHANGES = 1 << x86.RAX | 1 << x86.RCX | 1 << x86.R11
_FRAME_REGISTERS = 1 << x86.RSP | 1 << x86.RBP | 1 << x86.RBX
_CALLS = (Flow.CALL, Flow.INDIRECT_CALL)


class ImpossibleFrameError(Exception):
    """No function that begins and returns as functions do does this."""


class FrameValues(NamedTuple):
    """What is known before an instruction. `slots`: (offset from the CFA, value) of eight bytes.

    `kept_in` is the register, by the hardware's number, that has the return address.
    `asked_kernel`: a system call was the last thing that could make a thread. `is_outermost`: there
    is no caller.
    """

    stack: int | None = RETURN_SLOT
    rbp: Value = CALLERS_RBP
    rbx: Value = CALLERS_RBX
    kept_in: int | None = None
    slots: tuple[tuple[int, Value], ...] = ((RETURN_SLOT, RETURN_ADDRESS),)
    asked_kernel: bool = False
    is_outermost: bool = False

    @property
    def is_as_called(self) -> bool:
        """Whether the return address is on top of the stack, as at a function's entry."""
        return self.stack == RETURN_SLOT and self.slot(RETURN_SLOT) == RETURN_ADDRESS

    def slot(self, offset: int) -> Value:
        """Return what eight bytes of the stack hold."""
        return next((value for place, value in self.slots if place == offset), None)

    def register(self, number: int | None) -> Value:
        """Return what a register holds."""
        if number == x86.RSP:
            return self.stack
        if number == x86.RBP:
            return self.rbp
        if number == x86.RBX:
            return self.rbx
        return RETURN_ADDRESS if number is not None and number == self.kept_in else None

    def address(self, memory: Memory | None) -> int | None:
        """Return where in the frame an operand is."""
        if memory is None or memory.base is None or memory.index is not None or memory.segment:
            return None
        base = self.register(memory.base)
        return base + memory.displacement if isinstance(base, int) else None


ENTRY = FrameValues()


def concerns_frame(instruction: Instruction) -> bool:
    """Return whether an instruction may change what is known of a frame without `kept_in`."""
    if instruction.flow not in (Flow.STRAIGHT, Flow.JUMP, Flow.BRANCH):
        return True
    memory = instruction.memory
    stores = memory is not None and memory.base in (x86.RSP, x86.RBP) and instruction.first is None
    return stores or instruction.changes & _FRAME_REGISTERS != 0


def merged(one: FrameValues, other: FrameValues) -> FrameValues:
    """Return what is known where two ways meet; ImpossibleFrameError if they cannot."""
    if one.stack is not None and other.stack is not None and one.stack != other.stack:
        raise ImpossibleFrameError("two heights of the stack")
    if one.is_outermost != other.is_outermost:
        raise ImpossibleFrameError("with a caller and without")
    return FrameValues(
        one.stack if one.stack == other.stack else None,
        one.rbp if one.rbp == other.rbp else None,
        one.rbx if one.rbx == other.rbx else None,
        one.kept_in if one.kept_in == other.kept_in else None,
        tuple(slot for slot in one.slots if slot in other.slots),
        one.asked_kernel and other.asked_kernel,
        one.is_outermost,
    )


def after(frame: FrameValues, instruction: Instruction) -> FrameValues:
    """Return what is known behind an instruction, where a call has returned."""
    if frame.is_outermost:
        return frame
    if instruction.flow is Flow.SYSTEM:
        return _changed(frame, _SYSCALL_CHANGES)._replace(asked_kernel=True)
    if instruction.flow in _CALLS:
        return _after_call(frame)
    if instruction.mnemonic == "push":
        return _after_push(frame, instruction)
    if instruction.mnemonic == "pop" and instruction.first is not None:
        return _after_pop(frame, instruction.first)
    if instruction.mnemonic == "leave":
        return _after_leave(frame)
    if _ends_frames(frame, instruction):
        return frame._replace(is_outermost=True)
    return _checked(_after_other(frame, instruction))


def _ends_frames(frame: FrameValues, instruction: Instruction) -> bool:
    """Return whether a thread begins here.

    Who clears rbp without having saved it has nobody to return to: so the psABI marks the outermost
    frame (3.4.1), and so does code behind the system call that made the thread.
    """
    clears = instruction.mnemonic == "xor" and instruction.first == instruction.second == x86.RBP
    is_saved = any(value == CALLERS_RBP for _, value in frame.slots)
    return clears and frame.asked_kernel and frame.rbp == CALLERS_RBP and not is_saved


def _after_other(frame: FrameValues, instruction: Instruction) -> FrameValues:
    first = instruction.first
    value = _result(frame, instruction)
    place = frame.address(instruction.memory)
    if place is not None and first is None:
        size = instruction.operand_bytes or _VECTOR_BYTES
        is_copy = instruction.mnemonic == "mov" and size == _SLOT_BYTES
        frame = _stored(frame, place, size, frame.register(instruction.second) if is_copy else None)
    changes, stack, moved = instruction.changes, frame.stack, instruction.stack_delta
    frame = _changed(frame, changes)
    if first is not None and changes >> first & 1:
        return _with(frame, first, value)
    if changes >> x86.RSP & 1 and stack is not None and moved is not None:
        return frame._replace(stack=stack + moved)
    return frame


def _result(frame: FrameValues, instruction: Instruction) -> Value:
    """Return what the first operand, a register, is behind the instruction."""
    first, memory, number = instruction.first, instruction.memory, instruction.immediate
    if first is None or instruction.operand_bytes != _SLOT_BYTES:
        return None
    if instruction.mnemonic == "lea":
        return frame.address(memory)
    if instruction.mnemonic == "mov":
        if memory is None:
            return frame.register(instruction.second)
        place = frame.address(memory)
        return None if place is None else frame.slot(place)
    before = frame.register(first)
    if instruction.mnemonic in ("add", "sub") and isinstance(before, int) and number is not None:
        return before + number if instruction.mnemonic == "add" else before - number
    return None


def _after_call(frame: FrameValues) -> FrameValues:
    frame = _changed(frame, x86.CALLER_SAVED)._replace(asked_kernel=False)
    stack = frame.stack
    if stack is None or not frame.slots or frame.slots[0][0] >= stack:
        return frame
    # What is below belongs to those who are called.
    return frame._replace(slots=tuple(slot for slot in frame.slots if slot[0] >= stack))


def _after_push(frame: FrameValues, instruction: Instruction) -> FrameValues:
    if frame.stack is None or instruction.stack_delta is None:
        return frame._replace(stack=None)
    place = frame.stack + instruction.stack_delta
    value = frame.register(instruction.first)
    return _stored(frame, place, -instruction.stack_delta, value)._replace(stack=place)


def _after_pop(frame: FrameValues, register: int) -> FrameValues:
    stack = frame.stack
    value = None if stack is None else frame.slot(stack)
    frame = _changed(frame, 1 << register)  # also where that had the return address
    if stack is None:
        return frame
    moved = _with(frame._replace(stack=stack + _SLOT_BYTES), register, value)
    if value == RETURN_ADDRESS:  # kept in the register alone, until it is pushed again
        moved = moved._replace(slots=tuple(s for s in moved.slots if s[1] != RETURN_ADDRESS))
    return _checked(moved)


def _after_leave(frame: FrameValues) -> FrameValues:
    if not isinstance(frame.rbp, int):
        return frame._replace(stack=None, rbp=None)
    return _after_pop(frame._replace(stack=frame.rbp), x86.RBP)


def _stored(frame: FrameValues, place: int, size: int, value: Value) -> FrameValues:
    if not isinstance(value, str):
        value = None
    elif frame.slot(place) == value:
        return frame
    slots = [slot for slot in frame.slots if slot[0] + 8 <= place or place + size <= slot[0]]
    if value is None and len(slots) == len(frame.slots):
        return frame
    if value is not None and len(slots) < _SLOTS_MAX:
        slots.append((place, value))
    return frame._replace(slots=tuple(sorted(slots, key=itemgetter(0))))


def _with(frame: FrameValues, register: int, value: Value) -> FrameValues:
    if register == x86.RSP:
        return frame._replace(stack=value if isinstance(value, int) else None)
    if register == x86.RBP:
        return frame._replace(rbp=value)
    if register == x86.RBX:
        return frame._replace(rbx=value)
    return frame._replace(kept_in=register) if value == RETURN_ADDRESS else frame


def _changed(frame: FrameValues, changes: int) -> FrameValues:
    if changes & _FRAME_REGISTERS:
        frame = frame._replace(
            stack=None if changes >> x86.RSP & 1 else frame.stack,
            rbp=None if changes >> x86.RBP & 1 else frame.rbp,
            rbx=None if changes >> x86.RBX & 1 else frame.rbx,
        )
    if frame.kept_in is not None and changes >> frame.kept_in & 1:
        frame = frame._replace(kept_in=None)
    return frame


def _checked(frame: FrameValues) -> FrameValues:
    if frame.stack is not None and frame.stack > 0:
        raise ImpossibleFrameError("above its own frame")
    return frame


def state_of(frame: FrameValues) -> State | None:
    """Return the rule that leads to the caller, None where none is known."""
    if frame.is_outermost:
        return (RSP, 8, None, UNDEFINED, None)
    rbp, rbx = _place(frame, frame.rbp, CALLERS_RBP), _place(frame, frame.rbx, CALLERS_RBX)
    if frame.slot(RETURN_SLOT) == RETURN_ADDRESS:
        if frame.stack is not None:
            return (RSP, -frame.stack, rbp, RETURN_SLOT, rbx)
        return (RBP, -frame.rbp, rbp, RETURN_SLOT, rbx) if isinstance(frame.rbp, int) else None
    if frame.kept_in is None or frame.stack is None:
        return None
    return (RSP, -frame.stack, rbp, InRegister(_DWARF[frame.kept_in]), rbx)


def _place(frame: FrameValues, held: Value, value: str) -> Place:
    if held == value:
        return None
    return next((offset for offset, kept in frame.slots if kept == value), UNDEFINED)
