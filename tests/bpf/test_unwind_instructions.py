"""Stacks unwound at every instruction of a program are those that the executed calls made."""

from __future__ import annotations

from pathlib import Path

import capstone
import pytest

from profiler.binary.elf import Elf
from profiler.binary.symtab import read_symtab
from profiler.linux import bpf
from profiler.model.observed import UnwindStack
from profiler.process.mappings import TargetCode
from profiler.wire.unwind import CAUSES, WHOLE, push_site
from tests.bpf.unwinding import (
    AT_PROBE,
    KPROBE,
    Hit,
    TestProgram,
    compile_program,
    file_offsets,
    link_at,
    outside_of_leaf,
    probe,
    running,
    sample_until,
    unwinding,
)
from tests.ways import plain_links

pytestmark = pytest.mark.root

FUNCTIONS = ("work", "work_spill", "work_registers", "work_aligned", "leaf")
PUSH_RBX, PUSH_RBP = b"\x53", b"\x55"
NOP5 = bytes((0x0F, 0x1F, 0x44, 0, 0))  # a probe on it corrupts the red zone on Linux 6.18


class Code:
    """The instructions of the functions that the test program works in."""

    def __init__(self, path: Path) -> None:
        elf = Elf.from_bytes(path.read_bytes())
        symbols = read_symtab(elf)
        assert symbols is not None
        self.entries: dict[str, int] = {}
        self.ends: dict[str, int] = {}
        self.instructions: dict[int, capstone.CsInsn] = {}
        decoder = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        decoder.detail = True
        for name in FUNCTIONS:
            symbol = symbols.find(name)
            if symbol is None:
                continue  # the compiler made it part of its caller
            self.entries[name] = symbol.value
            self.ends[name] = symbol.value + symbol.size
            code = elf.read_at(symbol.value, symbol.size)
            assert code is not None
            for instruction in decoder.disasm(code, symbol.value):
                self.instructions[instruction.address] = instruction

    def probed(self) -> list[int]:
        return [at for at, one in self.instructions.items() if bytes(one.bytes) != NOP5]


def check_against_executed_calls(
    hits: list[Hit], code: Code, bias: int, base: tuple[int, ...]
) -> int:
    """Follow calls and returns in the order they were executed; return how many hits were right."""
    calls: list[int] = []
    previous: capstone.CsInsn | None = None
    checked = 0
    for hit in hits:
        address = hit.what - bias
        if previous is not None and previous.group(capstone.CS_GRP_CALL):
            if address != previous.address + previous.size:
                calls.append(previous.address + previous.size + bias)
        elif previous is not None and previous.group(capstone.CS_GRP_RET):
            assert calls.pop() == hit.what
        expected = (hit.what, *reversed(calls), *base)
        where = f"{code.instructions[address]} {CAUSES[hit.stack.cause]}"
        assert hit.stack.frames == expected, where
        assert hit.stack.cause == WHOLE
        previous = code.instructions[address]
        checked += 1
    return checked


def from_leaf(hits: list[Hit], code: Code, bias: int) -> list[Hit]:
    """Begin where the leaf is executing, with none of the functions below it entered."""
    low, high = code.entries["leaf"], code.ends["leaf"]
    inside = [low <= hit.what - bias < high for hit in hits]
    return hits[inside.index(True) :]


@pytest.mark.parametrize(
    ("flags", "returns"),
    [
        *((flags, ()) for flags in ("-O0", "-O1", "-O2", "-O3", "-Os", "-O2 -fcf-protection")),
        ("-O2 -fno-omit-frame-pointer", ()),
        ("-O2", ("work_registers", "work_aligned")),  # these also have return probes
    ],
)
def test_callers_are_right_at_every_instruction(
    tmp_path: Path, flags: str, returns: tuple[str, ...]
) -> None:
    """Entries, prologues, epilogues, tail calls, realigned stacks."""
    path = compile_program(tmp_path, *flags.split())
    code = Code(path)
    trapped = tuple(code.entries[name] for name in returns)
    with running(path, "wm") as target:
        hits = from_leaf(probe(target, code.probed(), trapped), code, bias_of(target))
        base = outside_of_leaf(target)
        assert check_against_executed_calls(hits, code, bias_of(target), base) > 500


def test_samples_in_the_trap_of_a_probed_push_are_right(tmp_path: Path) -> None:
    """The kernel shows such a thread one byte behind the push, done or not."""
    path = compile_program(tmp_path, "-O1")
    code = Code(path)
    numbers = {PUSH_RBX: 3, PUSH_RBP: 6}
    entries = [code.instructions[at] for at in code.entries.values()]
    pushes = {
        one.address: numbers[bytes(one.bytes)] for one in entries if bytes(one.bytes) in numbers
    }
    with running(path, "wm") as target:
        bias = bias_of(target)
        known: dict[int, set[tuple[int, ...]]] = {}
        for hit in probe(target, code.probed(), hits=50_000):
            known.setdefault(hit.what, set()).add(hit.stack.frames[1:])
        with unwinding(target.pid, "cpu.bpf.c", AT_PROBE) as one:
            program = one.module.load("probe_hit", KPROBE, plain_links().attach_type)
            attached = link_at(program, path, file_offsets(path, pushes), target.pid)
            for at, number in pushes.items():
                value = push_site(number, 1, is_first=True)
                key = (at + bias).to_bytes(8, "little")
                one.module.map("cpu_push_sites").set(key, value.to_bytes(4, "little"))
            behind = {at + bias + 1 for at in pushes} | {at + bias for at in pushes}

            def in_trap(stack: UnwindStack) -> bool:
                return bool(stack.kernel) and stack.frames[0] in known.keys() & behind

            stacks = sample_until(one, target.pid, lambda all: sum(map(in_trap, all)) > 100)
            bpf.close_all(attached)
    ours = [stack for stack in stacks if stack.frames[0] in known]
    assert [stack for stack in ours if stack.frames[1:] not in known[stack.frames[0]]] == []


def bias_of(target: TestProgram) -> int:
    code = TargetCode(target.pid)
    code.refresh()
    biases = [one.bias for one in code.current if one.mapping.path == str(target.path)]
    assert biases[0] is not None
    return biases[0]
