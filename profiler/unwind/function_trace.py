"""Follows a function that nothing describes along every way through it, from its first instruction.

A start may be a guess. It counts as one where a way leads to a return, and the stack there is as it
was at the start; or where every call finds the stack aligned as calls must. One `ret` that finds it
otherwise, or two ways that meet with different stacks, and nothing is believed of the function.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Collection, Container, Iterator
from dataclasses import dataclass, field

from profiler.binary.instructions import DecodeError, Flow, Instruction, decode_all
from profiler.unwind.frame_values import (
    ENTRY,
    FrameValues,
    ImpossibleFrameError,
    after,
    concerns_frame,
    merged,
)

MAX_INSTRUCTIONS = 1 << 18  # of one file; musl 1.2.3 has 107 thousand
MAX_STEPS = 1 << 20  # in one file; musl takes 110 thousand
_MAX_FUNCTION_STEPS = 1 << 15
_MAX_PADDING = 64  # instructions
_RUN_BYTES = 256  # decoded at a time
_CALL_ALIGNMENT = 16  # of the CFA, and of rsp before a call: System V psABI 3.2.2
_CALLS = (Flow.CALL, Flow.INDIRECT_CALL)
_PADDING = ("nop", "int3")
_TABLE_LOOKBACK = 16  # instructions before a jump by a table; GCC's needs 6
_TABLE_ENTRIES_MAX = 1 << 10

ReadWords = Callable[[int, int], bytes | None]  # (address, bytes)


class UndescribedCode:
    """The code that nothing describes, decoded where it is reached."""

    def __init__(self, parts: Collection[tuple[int, bytes]], read: ReadWords) -> None:
        self.parts = sorted(parts)
        self.read = read
        self._starts = [start for start, _ in self.parts]
        self._known: dict[int, Instruction] = {}
        self._concerns: dict[bytes, bool] = {}

    def __contains__(self, address: int) -> bool:
        return bool(self._rest(address))

    def at(self, address: int) -> Instruction | None:
        """Return the instruction there; None where there is none, or too many were read."""
        known = self._known.get(address)
        code = b"" if known else self._rest(address)  # empty where the address is none at all
        if code and len(self._known) < MAX_INSTRUCTIONS:
            try:
                for instruction in decode_all(code, address):
                    self._known.setdefault(instruction.address, instruction)
                    if instruction.flow not in (Flow.STRAIGHT, Flow.BRANCH, Flow.CALL):
                        break
            except DecodeError:
                pass  # no instruction there, or it continues behind what was decoded
            known = self._known.get(address)
        return known

    def concerns_frame(self, instruction: Instruction) -> bool:
        """Return whether an instruction may change what is known of a usual frame."""
        known = self._concerns.get(instruction.code)
        if known is None:
            known = self._concerns[instruction.code] = concerns_frame(instruction)
        return known

    def leads_to(self, address: int, starts: Container[int]) -> bool:
        """Return whether a start is there, or behind what is only there to align it."""
        for _ in range(_MAX_PADDING):
            if address in starts:
                return True
            instruction = self.at(address)
            if instruction is None or instruction.mnemonic not in _PADDING:
                return False
            address = instruction.end
        return False

    def _rest(self, address: int) -> bytes:
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return b""
        start, code = self.parts[index]
        return code[address - start : address - start + _RUN_BYTES]


@dataclass(slots=True)
class FunctionTrace:
    """What was found in one function: the frame before each instruction, and what it refers to."""

    frames: dict[int, FrameValues]
    calls: set[int] = field(default_factory=set)
    taken: set[int] = field(default_factory=set)  # addresses that the code takes
    is_proven: bool = False
    may_return: bool = False
    _aligned: bool = False
    _misaligned: bool = False

    @property
    def is_likely(self) -> bool:
        """Whether the function began where it was followed from."""
        return self.is_proven or (self._aligned and not self._misaligned)

    @property
    def begins_thread(self) -> bool:
        """Whether a new thread begins inside, without a caller."""
        return any(frame.is_outermost for frame in self.frames.values())

    def see_call(self, frame: FrameValues) -> None:
        """Note how the stack is aligned at a call."""
        if frame.stack is not None:
            aligned = frame.stack % _CALL_ALIGNMENT == 0
            self._aligned |= aligned
            self._misaligned |= not aligned


class Tracer:
    """Follows functions; `starts` are those that are known, or may be some."""

    def __init__(self, code: UndescribedCode, starts: set[int]) -> None:
        self._code = code
        self.starts = starts
        self.trusted: set[int] = set()  # starts that were followed, or that symbols name
        self.never_return: set[int] = set()
        self.doubted: set[int] = set()  # of the trusted, those that a frame was taken along to
        # Whether a jump with all as it was at the start leads to another function. That this one is
        # good for nothing, because it ends in a call that does not come back, is then no matter.
        self.jumps_leave = False
        self._steps_left = MAX_STEPS

    def trace(self, start: int, entry: FrameValues) -> FunctionTrace | None:
        """Follow the function that starts there; None where it cannot be one."""
        found = FunctionTrace({start: entry})
        self._previous: dict[int, int] = {}  # by address, one instruction that leads there
        pending = [start]
        try:
            for _ in range(_MAX_FUNCTION_STEPS):
                if not pending:
                    return found
                self._follow(found, pending.pop(), pending)
                if self._steps_left < 0:
                    break
        except ImpossibleFrameError:
            pass
        return None

    def _follow(self, found: FunctionTrace, address: int, pending: list[int]) -> None:
        """Follow one instruction; what is behind it comes to `pending` if it tells more."""
        before, instruction = found.frames[address], self._code.at(address)
        if instruction is None or instruction.flow in (Flow.RETURN, Flow.INDIRECT_JUMP):
            found.may_return = True  # or goes on where we do not follow it
        if instruction is None:
            return
        behind = before
        if before.kept_in is not None or self._code.concerns_frame(instruction):
            self._note(found, before, instruction)
            if instruction.flow is Flow.RETURN:
                return
            behind = after(before, instruction)
        elif instruction.mnemonic == "lea" and instruction.memory is not None:
            found.taken.add(instruction.memory.address or 0)
        leaves = self.jumps_leave and instruction.flow is Flow.JUMP and behind == ENTRY
        for target in self._ways(instruction):
            self._steps_left -= 1
            if leaves and target not in found.frames:
                found.calls.add(target)
                found.may_return = True
                continue
            known = found.frames.get(target)
            if known == behind or self._leaves(found, behind, target):
                continue
            frame = behind if known is None else merged(known, behind)
            if frame != known:
                found.frames[target] = frame
                self._previous.setdefault(target, address)
                pending.append(target)

    def _note(self, found: FunctionTrace, frame: FrameValues, instruction: Instruction) -> None:
        if instruction.flow in _CALLS:
            found.see_call(frame)
            if instruction.target is not None:
                found.calls.add(instruction.target)
        elif instruction.flow is Flow.RETURN:
            self._return(found, frame)

    def _return(self, found: FunctionTrace, frame: FrameValues) -> None:
        if frame.stack is not None and not frame.is_outermost:
            if not frame.is_as_called:
                raise ImpossibleFrameError("returns to something else")
            found.is_proven = True

    def _leaves(self, found: FunctionTrace, frame: FrameValues, target: int) -> bool:
        """Return whether the target is another function's start, which a tail call leads to."""
        if target not in self.trusted or target in found.frames:
            return False
        if not frame.is_outermost:
            if not frame.is_as_called:
                self.doubted.add(target)
                raise ImpossibleFrameError("goes on with another function, but has a frame")
            found.is_proven = True
        found.may_return = True
        return True

    def _ways(self, instruction: Instruction) -> Iterator[int]:
        flow = instruction.flow
        if flow in (Flow.JUMP, Flow.BRANCH) and instruction.target is not None:
            yield instruction.target
        if flow is Flow.INDIRECT_JUMP:
            yield from self._table_targets(instruction)
        if flow in (Flow.STRAIGHT, Flow.BRANCH, Flow.SYSTEM):
            yield instruction.end
        if flow in _CALLS and self._comes_back(instruction):
            yield instruction.end

    def _comes_back(self, call: Instruction) -> bool:
        """Return whether code behind a call is this function's; it may be the next one's."""
        known = call.target in self.never_return
        return not known and not self._code.leads_to(call.end, self.starts)

    def _table_targets(self, jump: Instruction) -> Iterator[int]:
        """Yield where GCC's form of a switch goes: distances from a table to its cases."""
        table = count = None
        is_scaled = False
        address = self._previous.get(jump.address)
        for _ in range(_TABLE_LOOKBACK):
            instruction = None if address is None else self._code.at(address)
            if instruction is None or count is not None:
                break
            memory = instruction.memory
            if instruction.mnemonic == "lea" and memory is not None and memory.address:
                table = table or memory.address
            elif instruction.mnemonic == "movsxd" and memory is not None:
                is_scaled = is_scaled or memory.scale == 4
            elif instruction.mnemonic == "cmp" and is_scaled:
                count = instruction.immediate
            address = self._previous.get(instruction.address)
        if jump.first is None or table is None or count is None or not is_scaled:
            return
        if 0 <= count < _TABLE_ENTRIES_MAX:
            words = self._code.read(table, 4 * (count + 1)) or b""
            yield from {table + distance for (distance,) in struct.iter_unpack("<i", words)}
