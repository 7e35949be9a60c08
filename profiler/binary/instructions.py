"""x86-64 instructions as the rest of the code needs them, decoded by iced-x86.

General registers are numbered as the hardware does (rax 0, rcx 1, rdx 2, rbx 3, rsp 4, rbp 5,
rsi 6, rdi 7, r8 to r15); sets of them are bit masks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

from iced_x86 import (
    Decoder,
    EncodingKind,
    FlowControl,
    Formatter,
    FormatterSyntax,
    InstructionInfoFactory,
    MemorySizeExt,
    Mnemonic,
    OpAccess,
    OpKind,
    Register,
    RegisterExt,
)
from iced_x86 import Instruction as Decoded

RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 = range(16)
# System V psABI 3.2.3
ARGUMENTS = (RDI, RSI, RDX, RCX, R8, R9)
CALLER_SAVED = sum(1 << register for register in (RAX, R10, R11, *ARGUMENTS))
CALLEE_SAVED = 0xFFFF & ~CALLER_SAVED & ~(1 << RSP)
_MAX_BYTES = 15
_PAUSE = b"\xf3\x90"
_OPERAND_SIZE, _REX_W = 0x66, 0x48
_PREFIXES = b"\x66\x67\xf0\xf2\xf3\x26\x2e\x36\x3e\x64\x65" + bytes(range(0x40, 0x50))


class DecodeError(Exception):
    """The bytes are no instruction, the buffer ends inside it, or its effect is not followed."""


class Flow(Enum):
    """Where execution continues; every kind but STRAIGHT ends a straight line."""

    STRAIGHT = "straight"
    JUMP = "jump"
    BRANCH = "branch"  # conditional: the target or the next instruction
    CALL = "call"
    INDIRECT_JUMP = "indirect jump"
    INDIRECT_CALL = "indirect call"
    RETURN = "return"
    SYSTEM = "system"  # asks the kernel, and goes on behind it
    TRAP = "trap"  # as all privileged instructions do in a process


@dataclass(frozen=True, slots=True)
class Memory:
    """A memory operand; without base and index, `displacement` is the address itself."""

    base: int | None
    index: int | None
    scale: int
    displacement: int
    segment: bool  # counted from fs or gs

    @property
    def address(self) -> int | None:
        """What it points to when that needs no register, as with RIP-relative operands."""
        fixed = self.base is None and self.index is None and not self.segment
        return self.displacement if fixed else None


class Instruction(NamedTuple):
    """One decoded instruction; a tuple, since tens of thousands are made to infer names.

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
    operand_bytes: int  # of the first operand
    legacy: bool  # without a VEX, EVEX or XOP prefix
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

    @property
    def is_relative(self) -> bool:
        """Whether it means something else at another address."""
        return self.target is not None or (
            self.memory is not None and self.memory.address is not None
        )

    @property
    def text(self) -> str:
        """The instruction in AT&T syntax, for example "push %rbp"."""
        return _FORMATTER.format(Decoder(64, self.code, ip=self.address).decode())

    @property
    def changes(self) -> int:
        """Mask of the registers that may have other values behind it, where calls have returned."""
        if self.writes is None:
            return 0xFFFF
        is_call = self.flow in (Flow.CALL, Flow.INDIRECT_CALL)
        return self.writes | CALLER_SAVED if is_call else self.writes


def decode(code: bytes, offset: int = 0, address: int = 0) -> Instruction:
    """Return the instruction at `code[offset:]`, which lies at `address` in memory.

    Raises DecodeError when there is none; looks at no byte outside `code`.
    """
    for instruction in decode_all(code[offset : offset + _MAX_BYTES], address):
        return instruction
    raise DecodeError("no byte")


def decode_all(code: bytes, address: int = 0) -> Iterator[Instruction]:
    """Yield the instructions of `code` one after the other; raises DecodeError where one is bad."""
    for decoded in Decoder(64, code, ip=address):
        place = decoded.ip
        own = code[place - address : place - address + decoded.len]
        known = _known.get(own)
        if known is not None:
            yield Instruction(place, *known[1:])
            continue
        made = _instruction(decoded, own)
        if len(_known) < _KNOWN_MAX and not made.is_relative:
            _known[own] = made
        yield made


def _names(values: Any) -> dict[Any, str]:
    """Return the names of an enumeration of iced-x86: classes to type checkers, modules to us."""
    return {value: name for name, value in vars(values).items() if isinstance(value, int)}


_MNEMONICS = {value: name.lower() for value, name in _names(Mnemonic).items()}
_GENERAL = {
    register: RegisterExt.number(RegisterExt.full_register(register))
    for register in _names(Register)
    if RegisterExt.is_gpr(register)
}
_FLOWS = {
    FlowControl.NEXT: Flow.STRAIGHT,
    FlowControl.UNCONDITIONAL_BRANCH: Flow.JUMP,
    FlowControl.INDIRECT_BRANCH: Flow.INDIRECT_JUMP,
    FlowControl.CONDITIONAL_BRANCH: Flow.BRANCH,
    FlowControl.RETURN: Flow.RETURN,
    FlowControl.INDIRECT_CALL: Flow.INDIRECT_CALL,
    FlowControl.INTERRUPT: Flow.TRAP,
    FlowControl.EXCEPTION: Flow.TRAP,
}
_INTERRUPT_RETURNS = frozenset((Mnemonic.IRET, Mnemonic.IRETD, Mnemonic.IRETQ, Mnemonic.UIRET))
_WRITES = frozenset(
    (OpAccess.WRITE, OpAccess.COND_WRITE, OpAccess.READ_WRITE, OpAccess.READ_COND_WRITE)
)
_IMMEDIATE_BITS = {
    OpKind.IMMEDIATE8: 8,
    OpKind.IMMEDIATE16: 16,
    OpKind.IMMEDIATE32: 32,
    OpKind.IMMEDIATE64: 64,
    OpKind.IMMEDIATE8TO16: 64,
    OpKind.IMMEDIATE8TO32: 64,
    OpKind.IMMEDIATE8TO64: 64,
    OpKind.IMMEDIATE32TO64: 64,
}
_KNOWN_MAX = 1 << 12
_known: dict[bytes, Instruction] = {}  # by their bytes; every second one was seen before
_EFFECTS = InstructionInfoFactory()
_FORMATTER = Formatter(FormatterSyntax.GAS)
_FORMATTER.uppercase_hex = False
_FORMATTER.small_hex_numbers_in_decimal = False
_FORMATTER.branch_leading_zeros = False


def _instruction(decoded: Decoded, code: bytes) -> Instruction:
    if decoded.is_invalid:
        raise DecodeError("no such instruction")
    if decoded.mnemonic == Mnemonic.PAUSE and code != _PAUSE:
        # A REX.B between its bytes makes it an exchange, which iced-x86 1.21 does not say.
        raise DecodeError("repeated exchange")
    flow = _flow(decoded)
    first, second = _GENERAL.get(decoded.op0_register), _GENERAL.get(decoded.op1_register)
    immediate = _immediate(decoded)
    writes = None if flow in (Flow.SYSTEM, Flow.TRAP) else _writes(decoded)
    return Instruction(
        address=decoded.ip,
        code=code,
        mnemonic=_MNEMONICS[decoded.mnemonic],
        flow=flow,
        target=_target(decoded, code),
        first=first,
        second=second,
        memory=_memory(decoded),
        immediate=immediate,
        operand_bytes=_operand_bytes(decoded),
        legacy=decoded.encoding in (EncodingKind.LEGACY, EncodingKind.D3NOW),
        writes=writes,
        stack_delta=_stack_delta(decoded, flow, writes, immediate),
    )


def _flow(decoded: Decoded) -> Flow:
    if decoded.is_jmp_far_indirect or decoded.is_call_far_indirect:
        raise DecodeError("far jump or call")
    if decoded.mnemonic in _INTERRUPT_RETURNS:
        raise DecodeError("return from an interrupt")
    if decoded.is_privileged:
        return Flow.TRAP
    if decoded.mnemonic == Mnemonic.INT:
        return Flow.SYSTEM
    kind = decoded.flow_control
    if kind == FlowControl.CALL:  # syscall and its kind count as calls there
        return Flow.CALL if decoded.is_call_near else Flow.SYSTEM
    if kind == FlowControl.XBEGIN_XABORT_XEND:
        return Flow.BRANCH if decoded.mnemonic == Mnemonic.XBEGIN else Flow.STRAIGHT
    return _FLOWS[kind]


def _target(decoded: Decoded, code: bytes) -> int | None:
    if decoded.op0_kind != OpKind.NEAR_BRANCH64:
        return None
    prefixes = code[: len(code) - len(code.lstrip(_PREFIXES))]
    if _OPERAND_SIZE in prefixes and prefixes[-1] & 0xF8 != _REX_W:
        # Intel ignores the prefix, AMD takes a 16-bit displacement; no compiler emits it.
        raise DecodeError("branch of 16-bit operand size")
    return decoded.near_branch_target


def _memory(decoded: Decoded) -> Memory | None:
    kinds = (decoded.op0_kind, decoded.op1_kind, decoded.op2_kind, decoded.op3_kind)
    if OpKind.MEMORY not in kinds or decoded.is_vsib:
        return None
    return Memory(
        _GENERAL.get(decoded.memory_base),
        _GENERAL.get(decoded.memory_index),
        decoded.memory_index_scale,
        _displacement(decoded),
        decoded.segment_prefix in (Register.FS, Register.GS),
    )


def _displacement(decoded: Decoded) -> int:
    """Return the displacement; with a RIP-relative operand, the address itself."""
    narrow = RegisterExt.is_gpr32(decoded.memory_base) or RegisterExt.is_gpr32(decoded.memory_index)
    return _signed(decoded.memory_displacement, 32 if narrow else 64)


def _immediate(decoded: Decoded) -> int | None:
    for position in range(decoded.op_count):
        bits = _IMMEDIATE_BITS.get(decoded.op_kind(position))
        if bits is not None:
            return _signed(decoded.immediate(position), bits)
    return None


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _operand_bytes(decoded: Decoded) -> int:
    if decoded.op0_kind == OpKind.REGISTER:
        return RegisterExt.size(decoded.op0_register)
    return MemorySizeExt.size(decoded.memory_size)


def _writes(decoded: Decoded) -> int:
    writes = 0
    for used in _EFFECTS.info(decoded).used_registers():
        if used.access in _WRITES and used.register in _GENERAL:
            writes |= 1 << _GENERAL[used.register]
    return writes


def _stack_delta(
    decoded: Decoded, flow: Flow, writes: int | None, immediate: int | None
) -> int | None:
    if writes is None:
        return None
    if not writes >> RSP & 1 or flow in (Flow.CALL, Flow.INDIRECT_CALL):
        return 0
    if decoded.stack_pointer_increment:
        loads_it = decoded.mnemonic == Mnemonic.POP and _GENERAL.get(decoded.op0_register) == RSP
        known = flow is Flow.STRAIGHT and not loads_it
        return decoded.stack_pointer_increment if known else None
    if decoded.op0_register != Register.RSP:
        return None
    if decoded.mnemonic in (Mnemonic.ADD, Mnemonic.SUB) and immediate is not None:
        return immediate if decoded.mnemonic == Mnemonic.ADD else -immediate
    if (
        decoded.mnemonic == Mnemonic.LEA
        and decoded.memory_base == Register.RSP
        and not decoded.memory_index
    ):
        return _displacement(decoded)
    return None
