"""Chooses the instruction that a probe sits on: cheap, safe, and early enough to see the arguments.

A uprobe replaces an instruction by a trap. Linux emulates some instructions in the trap handler
(arch/x86/kernel/uprobes.c: push_setup_xol_ops takes `push` of a 64-bit register,
branch_setup_xol_ops takes nop, jmp, call and conditional jumps with a relative target and no 66
prefix); every other one is stepped out of line with a second trap, at ten times the price. Longer
nops are emulated by recent kernels only, so they count as stepped here.

Two kinds of place make the kernel change what the target computes, and are refused:

- The five bytes `0f 1f 44 00 00`: Linux 6.18 turns a probe on them into a call (commit ba2bfc97b462
  "uprobes/x86: Add support to optimize uprobes"), which overwrites the red zone below rsp. Allowed
  at a function's first instruction only, where nothing of value lies there.
- AVX instructions: branch_setup_xol_ops looks at the opcode byte without its map, takes vpor (eb)
  for jmp, vpsubsb (e8) for call, vpcmpeqb (74) for je, and emulates that. Seen on 6.18.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from profiler.binary.code_image import CodeImage, Function
from profiler.binary.instructions import ARGUMENTS, CALLEE_SAVED, Flow, Instruction
from profiler.errors import ProbeError

# push %r64; nop; jcc and jmp rel8; jcc rel32; call and jmp rel32; none with a prefix
_EMULATED = re.compile(
    rb"\x41?[\x50-\x57]|\x90|[\x70-\x7f\xeb].|\x0f[\x80-\x8f].{4}|[\xe8\xe9].{4}", re.DOTALL
)
_OPTIMISED_NOP = bytes.fromhex("0f1f440000")
# is_prefix_bad() in arch/x86/kernel/uprobes.c, among any others: attaching fails there.
_REFUSED_PREFIX = re.compile(rb"[\x64-\x67\xf2\xf3]*[\x26\x2e\x36\x3e\xf0]")
# What good_insns_64 there leaves out is among these, or does not decode.
_REFUSED = (Flow.SYSTEM, Flow.TRAP)


class SiteRefusedError(ProbeError):
    """No place in the function is safe for a probe; the message says why."""


@dataclass(frozen=True, slots=True)
class Site:
    """A place for a probe.

    `stack_bytes`: by how much rsp lies below its value at the function's entry when the probe
    fires, so that the n-th stack argument is at rsp + stack_bytes + 8 * n (from 1); None for a
    place in the middle of a function. `emulated` is the cheap kind, else it is stepped.
    """

    function: str
    vaddr: int
    file_offset: int
    instruction: str
    emulated: bool
    stack_bytes: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Step:
    """One instruction of the straight line from a function's entry, and the state before it."""

    instruction: Instruction
    written: int  # registers changed since the entry
    stack_bytes: int


def is_emulated(instruction: Instruction) -> bool:
    """Return whether every supported kernel emulates the instruction under a probe."""
    return _EMULATED.fullmatch(instruction.code) is not None


def choose_site(
    image: CodeImage,
    address: int,
    name: str,
    needed: Iterable[int] = ARGUMENTS,
    returns: bool = False,
) -> Site:
    """Return the best place for a probe that fires once per call of the function at `address`.

    `needed` are the registers that must still hold what the caller put there; `returns` asks for a
    place where a return probe can be armed too (rsp points to the return address). SiteRefusedError
    when there is none.
    """
    function = image.function(address)
    if function is None or function.start != address:
        raise SiteRefusedError(f"{name}: no frame description starts at {address:#x}")
    instructions = image.instructions(function)
    if not instructions:
        raise SiteRefusedError(f"{name}: has bytes that are no instruction")
    if any(instruction.target == address for instruction in _branches(instructions)):
        raise SiteRefusedError(f"{name}: jumps back to its own entry")
    mask = sum(1 << register for register in needed)
    for step in _safe_line(image, function, instructions):
        if step.written & mask or (returns and step.stack_bytes):
            break
        if is_emulated(step.instruction):
            return _site(function, step, name, "emulated, arguments intact")
    entry = _Step(instructions[0], 0, 0)
    _refuse_unprobeable(entry.instruction, name, at_entry=True)
    return _site(
        function, entry, name, "entry: no emulated instruction before the arguments change"
    )


def site_at(image: CodeImage, address: int, name: str, reason: str) -> Site:
    """Return a place in the middle of a function, SiteRefusedError where no probe may sit."""
    function = image.function(address)
    if function is None:
        raise SiteRefusedError(f"{name}: no frame description holds {address:#x}")
    for instruction in image.instructions(function) or ():
        if instruction.address == address:
            _refuse_unprobeable(instruction, name, at_entry=address == function.start)
            offset = function.file_offset + address - function.start
            emulated = is_emulated(instruction)
            return Site(name, address, offset, instruction.text, emulated, None, reason)
    raise SiteRefusedError(f"{name}: no instruction starts at {address:#x}")


def _site(function: Function, step: _Step, name: str, reason: str) -> Site:
    instruction = step.instruction
    offset = function.file_offset + instruction.address - function.start
    emulated = is_emulated(instruction)
    return Site(
        name, instruction.address, offset, instruction.text, emulated, step.stack_bytes, reason
    )


def _refuse_unprobeable(instruction: Instruction, name: str, at_entry: bool) -> None:
    where = f"{name}: {instruction.text} at {instruction.address:#x}"
    if instruction.code == _OPTIMISED_NOP and not at_entry:
        raise SiteRefusedError(f"{where} would be overwritten by a call that spoils the red zone")
    if _REFUSED_PREFIX.match(instruction.code):
        raise SiteRefusedError(f"{where} has a prefix that the kernel refuses")
    if not instruction.legacy:
        raise SiteRefusedError(f"{where} may be taken for another instruction by the kernel")
    if instruction.flow in _REFUSED:
        raise SiteRefusedError(f"{where} is an instruction that the kernel refuses")


def _branches(instructions: Iterable[Instruction]) -> list[Instruction]:
    return [i for i in instructions if i.flow in (Flow.JUMP, Flow.BRANCH)]


def _straight_line(instructions: tuple[Instruction, ...]) -> list[_Step]:
    """Return what every call passes exactly once by this function's own direct branches.

    It ends with the first call, return or jump, and before the first target of a branch.
    """
    targets = {branch.target for branch in _branches(instructions)}
    line: list[_Step] = []
    written = stack_bytes = 0
    for instruction in instructions:
        if instruction.address in targets:
            break
        line.append(_Step(instruction, written, stack_bytes))
        if instruction.flow is not Flow.STRAIGHT or instruction.writes is None:
            break
        if instruction.stack_delta is None:
            break
        written |= instruction.writes
        stack_bytes -= instruction.stack_delta
    return line


def _safe_line(
    image: CodeImage, function: Function, instructions: tuple[Instruction, ...]
) -> list[_Step]:
    """Return the part of the straight line that no branch can come back into.

    Saving a callee-saved register that is still the caller's happens once per call, so what lies
    before the last such push is safe whatever jumps there are. The rest is safe when every jump of
    the function is known: none is indirect, and the code that it jumps out to (its cold part) does
    not jump back into the line.
    """
    line = _straight_line(instructions)
    if _jumps_are_known(image, function, instructions, line):
        return line
    saves = [
        index
        for index, step in enumerate(line)
        if step.instruction.mnemonic == "push"
        and step.instruction.first is not None
        and CALLEE_SAVED & ~step.written & 1 << step.instruction.first
    ]
    return line[: saves[-1] + 1] if saves else []


def _jumps_are_known(
    image: CodeImage,
    function: Function,
    instructions: tuple[Instruction, ...],
    line: list[_Step],
) -> bool:
    if any(i.flow is Flow.INDIRECT_JUMP for i in instructions):
        return False
    addresses = {step.instruction.address for step in line}
    for branch in _branches(instructions):
        target = branch.target
        if target is None or function.start <= target < function.end or image.is_stub(target):
            continue
        other = image.function(target)
        code = image.instructions(other) if other else None
        if code is None:
            return False
        if any(i.flow is Flow.INDIRECT_JUMP or i.target in addresses for i in code):
            return False
    return True
