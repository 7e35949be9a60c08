"""Finds the code that only traversals pass which have visited every node.

A traversal calls its container's methods for the first and each next node, and is exhausted when
one of them returns NULL. Where that result is tested, the code parts: a compiler that follows the
paths one by one (GCC, but for -O0 and -Os) leaves instructions that no traversal passes which
stopped at a node. Whatever is not understood makes the answer "none"; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from profiler.binary.code_image import CodeImage
from profiler.binary.control_flow import CodeFlow, moves_pointer
from profiler.binary.instructions import CALLER_SAVED, RAX, RBP, RSP, Flow, Instruction
from profiler.binary.probe_sites import is_emulated

# Where a thread can be. OTHER: before the traversal, or it has a node; PENDING: a method has
# returned, its result is not tested; EXHAUSTED: the result was NULL.
_OTHER, _PENDING, _EXHAUSTED = 1, 2, 4
_ALL_REGISTERS = 0xFFFF
_MIXED = -1  # a register that may hold a method's address, and may not
_KEEP_FLAGS = frozenset(("mov", "lea", "nop", "push", "pop", "jmp"))


class _NotUnderstoodError(Exception):
    """The code does something that this analysis does not follow."""


@dataclass(frozen=True, slots=True)
class _State:
    """What is known before an instruction, over all paths to it.

    `phases` is a mask; `holders`, a mask of registers, and `tested` are about paths that are
    PENDING: which registers hold the untested result on all of them, and whether the flags say that
    it is zero. `methods` has, for each register, the offset of the method whose address it holds,
    0 when it holds none, or _MIXED.
    """

    phases: int
    holders: int = _ALL_REGISTERS
    tested: bool = True
    methods: tuple[int, ...] = (0,) * 16

    def merged(self, other: _State) -> _State:
        """Return what holds on the paths of both."""
        methods = zip(self.methods, other.methods, strict=True)
        return _State(
            self.phases | other.phases,
            self.holders & other.holders,
            self.tested and other.tested,
            tuple(one if one == two else _MIXED for one, two in methods),
        )

    def narrowed(self, phases: int) -> _State:
        """Return the same with other phases; without PENDING nothing is known to hold a result."""
        if phases & _PENDING:
            return replace(self, phases=phases)
        return _State(phases, methods=self.methods)


def exhausted_places(image: CodeImage, flow: CodeFlow, first: int, following: int) -> set[int]:
    """Return addresses of which each exhausted traversal passes one, once, and no other traversal.

    `first` and `following` are the offsets of the methods for the first and each next node. All are
    instructions that the kernel emulates under a probe. The set is empty when there is none on some
    path, or the code is not understood.
    """
    try:
        return _Analysis(image, flow, (first, following)).places()
    except _NotUnderstoodError:
        return set()


class _Analysis:
    """The states before all instructions of one function."""

    def __init__(self, image: CodeImage, flow: CodeFlow, methods: tuple[int, int]) -> None:
        self._image = image
        self._flow = flow
        self._code: Mapping[int, Instruction] = flow.code
        self._methods = methods
        # Without a frame pointer, rbp may point to an object as any other register.
        self._frame = any(
            i.mnemonic == "mov" and i.first == RBP and i.second == RSP for i in self._code.values()
        )
        self._called: set[int] = set()
        self._exhausting: set[int] = set()  # where code goes on once a result was NULL
        self._states = self._solve()

    def _solve(self) -> dict[int, _State]:
        states = {self._flow.start: _State(_OTHER)}
        pending = [self._flow.start]
        while pending:
            address = pending.pop()
            instruction = self._code[address]
            for target, state in self._following(instruction, states[address]):
                if target not in self._code:
                    self._check_exit(instruction, target, state)
                    continue
                known = states.get(target)
                new = state if known is None else known.merged(state)
                if new != known:
                    states[target] = new
                    pending.append(target)
        return states

    def _check_exit(self, instruction: Instruction, target: int, state: _State) -> None:
        if instruction.flow is Flow.CALL:
            return  # to a function that does not return
        leaves = instruction.flow is Flow.JUMP and not state.phases & _PENDING
        if leaves and self._image.is_stub(target):
            return
        other = self._image.function(target)
        code = self._image.instructions(other) if other else None
        if (
            not leaves
            or other is None
            or other.start != target
            or code is None
            or any(i.flow is Flow.INDIRECT_JUMP or i.target in self._code for i in code)
        ):
            raise _NotUnderstoodError

    def _following(self, i: Instruction, before: _State) -> Iterator[tuple[int, _State]]:
        """Yield where control goes from an instruction, and what is known there."""
        if i.flow is Flow.INDIRECT_JUMP or (i.flow is Flow.RETURN and before.phases & _PENDING):
            raise _NotUnderstoodError
        if i.flow in (Flow.RETURN, Flow.TRAP):
            return
        after = self._after(i, before)
        if i.flow is not Flow.BRANCH:
            target = i.target if i.flow is Flow.JUMP else i.end
            if target is None:
                raise _NotUnderstoodError
            yield target, after
            return
        if i.target is None:
            raise _NotUnderstoodError
        null, other = before.phases, before.phases
        if before.phases & _PENDING and before.tested and i.mnemonic in ("je", "jne"):
            null = before.phases & ~_PENDING | _EXHAUSTED
            other = before.phases & ~_PENDING | _OTHER
            self._exhausting.add(i.target if i.mnemonic == "je" else i.end)
        if i.mnemonic == "jne":
            null, other = other, null
        yield i.target, after.narrowed(null)
        yield i.end, after.narrowed(other)

    def _after(self, i: Instruction, before: _State) -> _State:
        register = self._flow.called_register(i)
        if register is not None or i.flow in (Flow.CALL, Flow.INDIRECT_CALL):
            return self._after_call(i, register, before)
        methods = self._methods_after(i, before)
        if not before.phases & _PENDING:
            return _State(before.phases, methods=methods)
        holders, tested = before.holders, before.tested and i.mnemonic in _KEEP_FLAGS
        if i.flow is Flow.BRANCH:
            tested = before.tested
        if i.writes is None:
            holders = 0
        else:
            holders &= ~i.writes
        if moves_pointer(i) and i.first is not None and i.second is not None:
            holders |= (before.holders >> i.second & 1) << i.first
        if i.mnemonic == "test" and i.operand_bytes == 8 and i.memory is None:
            tested = i.first is not None and i.first == i.second and bool(holders >> i.first & 1)
        return _State(before.phases, holders, tested, methods)

    def _after_call(self, i: Instruction, register: int | None, before: _State) -> _State:
        method = before.methods[register] if register is not None else 0
        if i.flow is Flow.INDIRECT_CALL and i.memory is not None:
            method = self._method_at(i)
        if method == _MIXED:
            raise _NotUnderstoodError
        methods = tuple(
            _MIXED if known and CALLER_SAVED >> number & 1 else known
            for number, known in enumerate(before.methods)
        )
        if method:
            if before.phases & _PENDING:
                raise _NotUnderstoodError
            self._called.add(method)
            return _State(_PENDING, 1 << RAX, False, methods)
        if not before.phases & _PENDING:
            return _State(before.phases, methods=methods)
        return _State(before.phases, before.holders & ~CALLER_SAVED, False, methods)

    def _method_at(self, i: Instruction) -> int:
        """Return which method the memory operand may be; 0: none of them."""
        memory = i.memory
        if memory is None or memory.displacement not in self._methods or memory.base is None:
            return 0
        if memory.base == RSP or (memory.base == RBP and self._frame):
            return 0
        return memory.displacement if memory.index is None else _MIXED

    def _methods_after(self, i: Instruction, before: _State) -> tuple[int, ...]:
        known = before.methods
        operands = [known[r] for r in (i.first, i.second) if r is not None]
        methods = list(known)
        if moves_pointer(i):
            if i.first is None and any(operands):
                raise _NotUnderstoodError  # kept in memory, where it is not followed
            if i.first is not None:
                loaded = self._method_at(i)
                methods[i.first] = known[i.second] if i.second is not None else loaded
            return tuple(methods)
        if i.mnemonic == "push" and (any(operands) or self._method_at(i)):
            raise _NotUnderstoodError
        doubtful = any(operands) or (i.mnemonic.startswith("cmov") and bool(self._method_at(i)))
        for number in range(16):
            if i.writes is None:
                methods[number] = _MIXED if methods[number] else 0
            elif i.writes >> number & 1:
                methods[number] = _MIXED if doubtful else 0
        return tuple(methods)

    def places(self) -> set[int]:
        """Return the places that `exhausted_places` promises; raises _NotUnderstoodError."""
        if self._called != set(self._methods) or not self._exhausting:
            raise _NotUnderstoodError
        places = {self._place(address) for address in self._exhausting}
        reached = set[int]()
        pending = [target for place in places for target in self._exhausted_after(place)]
        while pending:
            address = pending.pop()
            if address in places:
                raise _NotUnderstoodError
            if address not in reached:
                reached.add(address)
                pending += self._exhausted_after(address)
        return places

    def _place(self, address: int) -> int:
        """Return the last emulated instruction that all pass who come from there, and only they."""
        place, passed = None, set[int]()
        while address not in passed:
            passed.add(address)
            state = self._states.get(address)
            if state is None or state.phases != _EXHAUSTED:
                break
            instruction = self._code[address]
            if is_emulated(instruction):
                place = address
            if instruction.flow is Flow.JUMP and instruction.target is not None:
                address = instruction.target
            elif instruction.flow is Flow.STRAIGHT:
                address = instruction.end
            else:
                break
        if place is None:
            raise _NotUnderstoodError
        return place

    def _exhausted_after(self, address: int) -> list[int]:
        """Return where an exhausted traversal goes from there, before it begins another one."""
        state = self._states[address].narrowed(_EXHAUSTED)
        return [
            target
            for target, after in self._following(self._code[address], state)
            if target in self._code and after.phases & _EXHAUSTED
        ]
