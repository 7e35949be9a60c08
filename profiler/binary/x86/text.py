"""Writes a decoded instruction in AT&T syntax, as objdump does, for `--list-probes`."""

from __future__ import annotations

from profiler.binary.x86.decoder import Flow, Instruction, Memory

_OLD = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
_UNNAMED = frozenset(("sse", "avx", "fpu", "shift", "flag", "system", "state", "hint", "cvt"))
_SUFFIXES = {1: "b", 2: "w", 4: "l", 8: "q"}


def text(instruction: Instruction) -> str:
    """Return for example "push %rbp"; the bytes where the decoder has no exact name."""
    name = instruction.mnemonic
    if name in _UNNAMED or (name == "nop" and instruction.length > 1):
        return f"{'nop' if name == 'nop' else '(bytes)'} {instruction.code.hex(' ')}"
    if instruction.target is not None:
        return f"{name} {instruction.target:#x}"
    star = "*" if instruction.flow in (Flow.INDIRECT_CALL, Flow.INDIRECT_JUMP) else ""
    parts = [star + part for part in _operands(instruction)]
    if instruction.memory is not None and instruction.first is None and not star:
        name += _SUFFIXES.get(instruction.operand_bytes, "")
    return f"{name} {','.join(reversed(parts))}" if parts else name


def _operands(instruction: Instruction) -> list[str]:
    if instruction.mnemonic == "nop":
        return []
    registers = [instruction.first, instruction.second]
    parts = []
    for position, code in enumerate(instruction.operands):
        register = registers[position] if position < 2 else None
        if register is not None:
            parts.append(register_name(register, _bytes_of(code, instruction.operand_bytes)))
        elif code[0] in "EMO" and instruction.memory is not None:
            parts.append(_memory(instruction.memory))
        elif code[0] in "IS" and instruction.immediate is not None:
            parts.append(f"${instruction.immediate:#x}")
    return parts


def _bytes_of(code: str, operand_bytes: int) -> int:
    return {"b": 1, "w": 2, "d": 4, "q": 8}.get(code[1:], operand_bytes)


def register_name(register: int, size: int = 8) -> str:
    """Return the name of a general register, "%rdi", for an operand of `size` bytes."""
    if register >= 8:
        return f"%r{register}" + {1: "b", 2: "w", 4: "d"}.get(size, "")
    name = _OLD[register]
    if size == 1:
        return f"%{name[0]}l" if register < 4 else f"%{name}l"
    return "%" + {2: "", 4: "e"}.get(size, "r") + name


def _memory(memory: Memory) -> str:
    segment = f"%{memory.segment}:" if memory.segment else ""
    if memory.address is not None:
        return f"{segment}{memory.address:#x}"
    base = register_name(memory.base) if memory.base is not None else ""
    index = f",{register_name(memory.index)},{memory.scale}" if memory.index is not None else ""
    displacement = f"{memory.displacement:#x}" if memory.displacement else ""
    return f"{segment}{displacement}({base}{index})"
