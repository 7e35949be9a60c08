"""x86-64 instruction decoder: exact lengths, control flow, and what happens to general registers.

Enough to place probes and to follow addresses through straight-line code; not a disassembler for
reading. Source: Intel SDM volume 2, chapters 2 and 3; the opcode maps are in x86_tables.py.
General registers are numbered as the hardware does (rax 0, rcx 1, rdx 2, rbx 3, rsp 4, rbp 5,
rsi 6, rdi 7, r8 to r15); sets of them are bit masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from profiler.binary.x86 import vector
from profiler.binary.x86.fields import (
    DecodeError,
    Memory,
    ModRM,
    Reader,
    read_modrm,
    read_prefixes,
    read_vex_prefix,
)
from profiler.binary.x86.forms import MAP_0F, MAP_3A, MAP_38, ONE_BYTE, Form, lookup, takes_modrm
from profiler.binary.x86.opcodes import CONDITIONS

__all__ = ["DecodeError", "Flow", "Instruction", "Memory", "decode", "decode_all"]

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 = range(16)


_STACK_OPERATIONS = frozenset(("push", "pop", "pushf", "popf"))


class Flow(Enum):
    """Where execution continues; every kind but STRAIGHT ends a straight line."""

    STRAIGHT = "straight"
    JUMP = "jump"
    BRANCH = "branch"  # conditional: the target or the next instruction
    CALL = "call"
    INDIRECT_JUMP = "indirect jump"
    INDIRECT_CALL = "indirect call"
    RETURN = "return"
    TRAP = "trap"


@dataclass(frozen=True, slots=True)
class Instruction:
    """One decoded instruction.

    `first` and `second` are the registers that its first two operands (destination first) name,
    None where such an operand is no general register. `writes` is the mask of general registers it
    may change, None when that is not known; for a call it says what the instruction itself does.
    `stack_delta` is what it adds to rsp, None when not known (a call counts as returned: 0).
    """

    address: int
    code: bytes
    mnemonic: str
    flow: Flow
    target: int | None  # of a direct jump, branch or call
    first: int | None
    second: int | None
    memory: Memory | None
    immediate: int | None  # sign-extended
    operand_bytes: int
    operands: tuple[str, ...]  # codes of x86_tables
    writes: int | None
    stack_delta: int | None

    @property
    def length(self) -> int:
        """Bytes."""
        return len(self.code)

    @property
    def end(self) -> int:
        """Address of the next instruction."""
        return self.address + len(self.code)

    def may_write(self, register: int) -> bool:
        """Tell whether the register may be changed; true when what is written is not known."""
        return self.writes is None or bool(self.writes >> register & 1)


_FLOWS = {
    "jmp": Flow.JUMP,
    "call": Flow.CALL,
    "ret": Flow.RETURN,
    "lret": Flow.RETURN,
    "iret": Flow.RETURN,
    "sysret": Flow.RETURN,
    "ljmp": Flow.INDIRECT_JUMP,
    "lcall": Flow.INDIRECT_CALL,
    "xbegin": Flow.BRANCH,
    **{f"j{condition}": Flow.BRANCH for condition in (*CONDITIONS, "rcxz")},
    **dict.fromkeys(("loop", "loope", "loopne"), Flow.BRANCH),
    **dict.fromkeys(("int3", "int1", "hlt", "ud0", "ud1", "ud2"), Flow.TRAP),
}


def decode(code: bytes, offset: int = 0, address: int = 0) -> Instruction:
    """Return the instruction at `code[offset:]`, which lies at `address` in memory.

    Raises DecodeError when there is none; looks at no byte outside `code`.
    """
    if not 0 <= offset < len(code):
        raise DecodeError("offset outside the buffer")
    reader = Reader(code, offset)
    opcode = read_prefixes(reader)
    if opcode in (0xC4, 0xC5, 0x62):
        return _decode_vex(reader, opcode, address)
    if opcode == 0x8F and reader.position < reader.limit and code[reader.position] & 0x1F >= 8:
        return _decode_vex(reader, opcode, address)
    opcode_map = ONE_BYTE
    if opcode == 0x0F:
        opcode_map, opcode = MAP_0F, reader.byte()
        if opcode in (0x38, 0x3A):
            opcode_map, opcode = MAP_38 if opcode == 0x38 else MAP_3A, reader.byte()
    return _decode_legacy(reader, opcode_map, opcode, address)


def decode_all(code: bytes, address: int = 0) -> Iterator[Instruction]:
    """Yield the instructions of `code` one after the other; raises DecodeError where one is bad."""
    offset = 0
    while offset < len(code):
        instruction = decode(code, offset, address + offset)
        yield instruction
        offset += instruction.length


def _memory(reader: Reader, modrm: ModRM, end: int) -> Memory | None:
    """Return the memory operand of an instruction that ends at `end`."""
    if modrm.memory is None or not modrm.rip:
        return modrm.memory
    displacement = modrm.memory.displacement
    address = _wrap(end + displacement) & (0xFFFF_FFFF if reader.address32 else -1)
    return Memory(None, None, 1, displacement, address, reader.segment)


def _wrap(address: int) -> int:
    return address & 0xFFFF_FFFF_FFFF_FFFF


def _size(reader: Reader, letter: str) -> int:
    """Return the bytes of an operand with that size letter of x86_tables."""
    fixed = {"b": 1, "w": 2, "d": 4, "q": 8}.get(letter)
    if fixed is not None:
        return fixed
    if letter == "s":
        return 2 if reader.opsize else 8
    if reader.w:
        return 4 if letter == "z" else 8
    return 2 if reader.opsize and letter != "y" else 4


@dataclass(slots=True)
class _Operands:
    """The operands of one instruction as they are read."""

    registers: list[int | None]
    immediate: int | None = None
    relative: int | None = None
    absolute: int | None = None


def _byte_register(reader: Reader, number: int, size: int) -> int:
    """Return the register that a field names: without REX, byte registers 4 to 7 are ah to bh."""
    return number - 4 if size == 1 and 4 <= number < 8 and not reader.rex else number


def _read_operands(reader: Reader, form: Form, opcode: int, modrm: ModRM) -> _Operands:
    result = _Operands([])
    for code in form.operands:
        kind, size = code[0], _size(reader, code[1:])
        register: int | None = None
        if kind == "E" or kind == "R":
            if modrm.is_register or kind == "R":
                register = _byte_register(reader, modrm.rm, size)
        elif kind == "G":
            register = _byte_register(reader, modrm.register, size)
        elif kind == "Z":
            register = _byte_register(reader, (opcode & 7) | reader.b, size)
        elif kind == "A":
            register = RAX
        elif kind == "I":
            result.immediate = reader.signed(size)
        elif kind == "S":
            result.immediate = reader.signed(1)
        elif kind == "J":
            if reader.opsize and not reader.w:
                # Intel ignores the prefix, AMD takes a 16-bit displacement; no compiler emits it.
                raise DecodeError("branch of 16-bit operand size")
            result.relative = reader.signed(1 if size == 1 else 4)
        elif kind == "O":
            result.absolute = reader.signed(4 if reader.address32 else 8)
        elif kind == "M" and modrm.is_register:
            raise DecodeError("register where memory must be")
        result.registers.append(register)
    return result


_NO_MODRM = ModRM()


def _decode_legacy(reader: Reader, opcode_map: int, opcode: int, address: int) -> Instruction:
    modrm = read_modrm(reader) if takes_modrm(opcode_map, opcode) else _NO_MODRM
    form = lookup(opcode_map, opcode, reader.prefix, modrm.extension, int(modrm.is_register))
    if form is None:
        raise DecodeError("no such instruction")
    operands = _read_operands(reader, form, opcode, modrm)
    end = address + reader.position - reader.start
    memory = _memory(reader, modrm, end)
    if operands.absolute is not None:
        memory = Memory(None, None, 1, 0, _wrap(operands.absolute), reader.segment)
    registers = operands.registers
    mnemonic = _mnemonic(reader, form, opcode_map, opcode, modrm)
    letter = form.operands[0][1:] if form.operands else "v"
    size = _size(reader, "s" if mnemonic in _STACK_OPERATIONS else letter)
    writes = 0 if mnemonic in ("nop", "pause") else _writes(reader, form, registers)
    flow = _FLOWS.get(mnemonic, Flow.STRAIGHT)
    if form.operands == ("Eq",) and flow in (Flow.JUMP, Flow.CALL):
        flow = Flow.INDIRECT_JUMP if flow is Flow.JUMP else Flow.INDIRECT_CALL
    first, second = (*registers, None, None)[:2]
    linear = None if reader.address32 else memory
    return Instruction(
        address=address,
        code=bytes(reader.code[reader.start : reader.position]),
        mnemonic=mnemonic,
        flow=flow,
        target=None if operands.relative is None else _wrap(end + operands.relative),
        first=first,
        second=second,
        memory=memory,
        immediate=operands.immediate,
        operand_bytes=size,
        operands=form.operands,
        writes=writes,
        stack_delta=_stack_delta(mnemonic, size, first, linear, operands.immediate, writes),
    )


def _writes(reader: Reader, form: Form, registers: list[int | None]) -> int | None:
    """Return the mask of general registers that the instruction may change; None: not known."""
    if form.implicit is None:
        return None
    writes = form.implicit
    for register in registers[: form.written]:
        if register is not None:
            writes |= 1 << register
    if form.repeats and reader.prefix >= 2:
        writes |= 1 << RCX
    return writes


def _mnemonic(reader: Reader, form: Form, opcode_map: int, opcode: int, modrm: ModRM) -> str:
    """Return the mnemonic, with the names that depend on more than the opcode."""
    name = form.mnemonic
    if name == "endbr":
        return {2: "endbr64", 3: "endbr32"}.get(modrm.rm, "hint")
    if name == "xchg" and opcode_map == ONE_BYTE and opcode == 0x90 and not reader.b:
        return "pause" if reader.prefix == 3 else "nop"
    return name


def _stack_delta(
    mnemonic: str,
    size: int,
    first: int | None,
    memory: Memory | None,
    immediate: int | None,
    writes: int | None,
) -> int | None:
    """Return what the instruction adds to rsp; None when that is not known."""
    if writes is None:
        return None
    if not writes >> RSP & 1 or mnemonic == "call":
        return 0
    if mnemonic in ("push", "pushf"):
        return -size
    if mnemonic in ("pop", "popf"):
        return None if first == RSP else size
    if size == 8 and first == RSP:
        if mnemonic in ("sub", "add") and immediate is not None:
            return immediate if mnemonic == "add" else -immediate
        if mnemonic == "lea" and memory and memory.base == RSP and memory.index is None:
            return memory.displacement
    return None


def _decode_vex(reader: Reader, escape: int, address: int) -> Instruction:
    """Decode an instruction with a VEX, EVEX or XOP prefix."""
    if reader.rex or reader.prefix:
        raise DecodeError("prefix before VEX")
    opcode_map, prefix = read_vex_prefix(reader, escape)
    opcode = reader.byte()
    if escape == 0x8F:
        size, fields = (
            vector.xop_immediate_bytes(opcode_map),
            vector.xop_written_fields(opcode_map, opcode),
        )
    else:
        size = vector.vex_immediate_bytes(opcode_map, opcode)
        fields = vector.vex_written_fields(opcode_map, opcode, prefix)
    if size is None:
        raise DecodeError("no such opcode map")
    modrm = _NO_MODRM
    if vector.vex_has_modrm(opcode_map, opcode):
        modrm = read_modrm(reader)
    immediate = reader.signed(size) if size else None
    writes = None if fields is None else _vex_writes(fields, modrm, reader.vvvv)
    return Instruction(
        address=address,
        code=bytes(reader.code[reader.start : reader.position]),
        mnemonic="avx",
        flow=Flow.STRAIGHT,
        target=None,
        first=None,
        second=None,
        memory=_memory(reader, modrm, address + reader.position - reader.start),
        immediate=immediate,
        operand_bytes=0,
        operands=(),
        writes=writes,
        stack_delta=None if writes is None or writes >> RSP & 1 else 0,
    )


def _vex_writes(fields: str, modrm: ModRM, vvvv: int) -> int:
    writes = 0
    if "G" in fields:
        writes |= 1 << modrm.register
    if "E" in fields and modrm.is_register:
        writes |= 1 << modrm.rm
    if "B" in fields:
        writes |= 1 << vvvv
    if "c" in fields:
        writes |= 1 << RCX
    return writes
