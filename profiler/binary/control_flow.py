"""Control flow, calls and simple values inside one function."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from profiler.binary.code_image import CodeImage
from profiler.binary.instructions import (
    RAX,
    RBP,
    RSP,
    DecodeError,
    Flow,
    Instruction,
    Memory,
    decode,
)
from profiler.binary.relocations import STUB_BYTES

_MAX_PARTS = 8
_THUNK_BYTES = 48
_ENDS = (Flow.JUMP, Flow.INDIRECT_JUMP, Flow.RETURN, Flow.TRAP)


class CodeFlow:
    """One function with the parts that the compiler moved away (cold code), as instructions."""

    def __init__(
        self, image: CodeImage, start: int, end: int, code: dict[int, Instruction]
    ) -> None:
        self.start = start
        self.end = end
        self._image = image
        self._code = code  # by address, ascending inside each part
        self._targets = {i.target for i in code.values() if i.flow in (Flow.JUMP, Flow.BRANCH)}

    def direct_calls(self) -> Iterator[tuple[Instruction, int]]:
        """Yield (call, destination inside the file), seen through linkage stubs."""
        for instruction in self._code.values():
            if instruction.flow is Flow.CALL and instruction.target is not None:
                destination = self._image.destination(instruction.target)
                if destination is not None:
                    yield instruction, destination

    def calls(self) -> Iterator[int]:
        """Yield the destinations of direct calls, and of jumps that leave the function."""
        for _, called in self.direct_calls():
            yield called
        for instruction in self._code.values():
            target = instruction.target
            if instruction.flow not in (Flow.JUMP, Flow.BRANCH) or target is None:
                continue
            if target not in self._code:
                destination = self._image.destination(target)
                if destination is not None:
                    yield destination

    def indirect_call_offsets(self) -> set[int]:
        """Return every d for which the function may call what it loaded from d(%reg).

        Either at once (`call *d(%reg)`) or through a register, also by way of a thunk against
        speculation (`-mindirect-branch=thunk`). All loads into a called register, or into one that
        is copied to it, count, whether or not they reach the call.
        """
        offsets: set[int] = set()
        loaded: dict[int, set[int]] = {}
        copied: dict[int, set[int]] = {}
        called: set[int] = set()
        for instruction in self._code.values():
            register = self.called_register(instruction)
            offset = _object_offset(instruction.memory)
            if register is not None:
                called.add(register)
            elif instruction.flow is Flow.INDIRECT_CALL and offset is not None:
                offsets.add(offset)
            elif moves_pointer(instruction) and instruction.first is not None:
                if offset is not None:
                    loaded.setdefault(instruction.first, set()).add(offset)
                elif instruction.second is not None:
                    copied.setdefault(instruction.first, set()).add(instruction.second)
        sources = _closure(called, copied)
        return offsets.union(*(loaded.get(register, set()) for register in sources))

    @property
    def code(self) -> Mapping[int, Instruction]:
        """The instructions by address, ascending inside each part."""
        return self._code

    def called_register(self, instruction: Instruction) -> int | None:
        """Return the register whose value is called, at once or by way of a thunk."""
        if instruction.flow is Flow.INDIRECT_CALL:
            return instruction.first
        if instruction.flow is Flow.CALL and instruction.target is not None:
            return thunk_register(self._image, instruction.target)
        return None

    def constants(self, register: int) -> dict[int, int]:
        """Return the known values of a register in straight-line code, by instruction's address.

        They are those before the instruction, sign-extended from 32 bits.
        """
        known: dict[int, int] = {}
        values: dict[int, int] = {}
        pushed: int | None = None
        for instruction in self._code.values():
            if instruction.address in self._targets:
                known.clear()
            if register in known:
                values[instruction.address] = known[register]
            value = _constant(instruction, known, pushed)
            pushed = instruction.immediate if instruction.mnemonic == "push" else None
            changes = instruction.changes
            known = {key: known[key] for key in known if not changes >> key & 1}
            if value is not None and instruction.first is not None:
                known[instruction.first] = value
            if instruction.flow in _ENDS:
                known.clear()
        return values

    def constant_result(self) -> int | None:
        """Return what the function returns if that is one constant, without jumps or calls."""
        values, results = self.constants(RAX), set[int | None]()
        for instruction in self._code.values():
            if instruction.flow is Flow.RETURN:
                results.add(values.get(instruction.address))
            elif instruction.flow is not Flow.STRAIGHT:
                return None
        return results.pop() if len(results) == 1 else None

    def slot_uses(self, offset: int) -> set[int]:
        """Return where the function loads or calls the pointer at offset(%reg) of an object."""
        return {
            instruction.address
            for instruction in self._code.values()
            if _object_offset(instruction.memory) == offset
            and (instruction.flow is Flow.INDIRECT_CALL or moves_pointer(instruction))
        }

    def repeats(self, address: int, but_for: Set[int]) -> bool:
        """Return whether control can come back to an instruction without passing `but_for`."""
        return self._code[address].end in self.reaching({address}, but_for)

    def reaching(self, goals: Set[int], but_for: Set[int] = frozenset()) -> set[int]:
        """Return the addresses from which control can go to one of `goals`, not by `but_for`."""
        sources: dict[int, set[int]] = {}
        for instruction in self._code.values():
            if instruction.flow in (Flow.JUMP, Flow.BRANCH) and instruction.target is not None:
                sources.setdefault(instruction.target, set()).add(instruction.address)
            if instruction.flow not in _ENDS:
                sources.setdefault(instruction.end, set()).add(instruction.address)
        return _closure(goals, sources, but_for)

    def data_addresses(self) -> Iterator[int]:
        """Yield addresses that the code takes: `lea x(%rip)`, and immediates of 4 bytes or more."""
        for instruction in self._code.values():
            if instruction.mnemonic == "lea" and instruction.memory is not None:
                if instruction.memory.address is not None:
                    yield instruction.memory.address
            elif instruction.mnemonic == "mov" and (instruction.immediate or 0) > 0xFFFF:
                yield instruction.immediate or 0


def flow_of(image: CodeImage, start: int) -> CodeFlow | None:
    """Return the function that starts there with its cold parts; None if it cannot be decoded."""
    function = image.function(start)
    if function is None or function.start != start:
        return None
    code: dict[int, Instruction] = {}
    pending, parts = [start], set[int]()
    while pending and len(parts) < _MAX_PARTS:
        part = image.function(pending.pop())
        if part is None or part.start in parts:
            continue
        parts.add(part.start)
        instructions = image.instructions(part)
        if instructions is None:
            if part.start == start:
                return None
            continue
        code.update((instruction.address, instruction) for instruction in instructions)
        pending += _continuations(image, part.start, part.end, instructions)
    return CodeFlow(image, start, function.end, code)


def _continuations(
    image: CodeImage, start: int, end: int, instructions: tuple[Instruction, ...]
) -> Iterator[int]:
    """Yield where conditional jumps leave a part to: cold code, as tail calls are unconditional."""
    for instruction in instructions:
        target = instruction.target
        if instruction.flow is Flow.BRANCH and target is not None and not start <= target < end:
            yield target


def thunk_register(image: CodeImage, address: int) -> int | None:
    """Return the register that an indirect-branch thunk at `address` jumps to; None: no thunk.

    A thunk stores the register over its return address and returns (GCC and Clang name it
    __x86_indirect_thunk_REG), or is `jmp *%reg` alone.
    """
    size = min(_THUNK_BYTES, image.elf.file_bytes_from(address))
    code = image.elf.read_at(address, size) if size else None
    offset, stored = 0, None
    while code and offset < len(code):
        try:
            instruction = decode(code, offset, address + offset)
        except DecodeError:
            return None
        memory = instruction.memory
        if instruction.flow is Flow.INDIRECT_JUMP:
            return instruction.first if offset <= STUB_BYTES else None
        if instruction.mnemonic == "mov" and memory is not None and memory.base == RSP:
            stored = instruction.second if not memory.displacement else None
        elif instruction.flow is Flow.RETURN:
            return stored
        elif instruction.mnemonic not in ("call", "pause", "lfence", "jmp", "nop", "int3"):
            return None
        offset += instruction.length
    return None


def _closure(
    start: Set[int], edges: dict[int, set[int]], but_for: Set[int] = frozenset()
) -> set[int]:
    """Return what can be reached from `start`, itself included, not by `but_for`."""
    reached, pending = set(start), list(start)
    while pending:
        new = edges.get(pending.pop(), set()) - reached - but_for
        reached |= new
        pending += new
    return reached


def moves_pointer(instruction: Instruction) -> bool:
    """Return whether it is a `mov` of eight bytes."""
    return instruction.mnemonic == "mov" and instruction.operand_bytes == 8


def _object_offset(memory: Memory | None) -> int | None:
    """Return d of an operand d(%reg) whose register can point to an object, None for other ones."""
    if memory is None or memory.index is not None or memory.base in (None, RSP, RBP):
        return None
    return memory.displacement


def _constant(instruction: Instruction, known: dict[int, int], pushed: int | None) -> int | None:
    """Return the value that the instruction puts into its first operand's register."""
    name, first, second = instruction.mnemonic, instruction.first, instruction.second
    if first is None or instruction.memory is not None:
        return None
    if name == "mov":
        if instruction.immediate is not None:
            return _signed32(instruction.immediate)
        return known.get(second) if second is not None else None
    if name == "or" and instruction.immediate == -1:
        return -1
    if name in ("xor", "sub") and first == second:
        return 0
    return pushed if name == "pop" else None


def _signed32(value: int) -> int:
    value &= 0xFFFFFFFF
    return value - (1 << 32) if value >> 31 else value
