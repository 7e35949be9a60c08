"""The decoder beside capstone on every third function of large real files: equal everywhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import capstone
import pytest

from lab import root
from profiler.binary.elf import Elf
from profiler.binary.functions import functions
from profiler.binary.instructions import RAX, RCX, RDX, RSP, DecodeError, decode

# Registers that capstone's lists miss or add; each rule is what the SDM says of the instruction.
CAPSTONE_MISSES = {
    "cmpxchg": 1 << RAX,  # loads the accumulator when the comparison fails
    "xlatb": 1 << RAX,
    "rdpkru": 1 << RAX | 1 << RDX,
    "retf": 1 << RSP,
    "retfq": 1 << RSP,
    "enter": 1 << RSP | 1 << 5,
}
CAPSTONE_ADDS = {
    "test": 1 << RAX,  # `test $imm,%eax` only reads
    "cwd": 1 << RAX,
    "cdq": 1 << RAX,
    "cqo": 1 << RAX,
    "stosq": 1 << RCX,  # without a repeat prefix
}


def library(name: str) -> Path:
    listing = subprocess.run(["ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    for line in listing.splitlines():
        if line.strip().startswith(name) and "x86-64" in line:
            return Path(line.split("=>")[1].strip()).resolve()
    pytest.fail(f"{name} is not installed")


def bodies(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield address and bytes of every function that has a frame description."""
    elf = Elf.from_bytes(path.read_bytes())
    table = functions(elf)
    for start, end in zip(table.starts, table.ends, strict=True):
        code = elf.read_at(start, end - start)
        if code:
            yield start, code


def register_numbers() -> dict[str, int]:
    numbers: dict[str, int] = {}
    names = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di")
    for number, name in enumerate(names):
        numbers |= {f"r{name}": number, f"e{name}": number, name: number, f"{name}l": number}
        if number < 4:
            numbers |= {f"{name[0]}l": number, f"{name[0]}h": number}
    for number in range(8, 16):
        numbers |= {f"r{number}{suffix}": number for suffix in ("", "d", "w", "b")}
    return numbers


NUMBERS = register_numbers()


def written_by_capstone(instruction: capstone.CsInsn) -> int:
    names = (instruction.reg_name(register) for register in instruction.regs_access()[1])
    return sum(1 << number for number in {NUMBERS[name] for name in names if name in NUMBERS})


class Comparison:
    """Counts instructions; remembers what differs."""

    def __init__(self) -> None:
        self.lengths = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self.details = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
        self.details.detail = True
        self.count = self.known = 0
        self.seen: set[tuple[bytes, int]] = set()
        self.differences: list[str] = []

    def compare(self, start: int, code: bytes) -> None:
        for address, size, mnemonic, operands in self.lengths.disasm_lite(code, start):
            self.count += 1
            try:
                instruction = decode(code, address - start, address)
            except DecodeError as error:
                self.differences.append(f"{address:#x} {mnemonic} {operands}: {error}")
                continue
            if instruction.length != size:
                self.differences.append(f"{address:#x} {mnemonic} {operands}: {instruction.length}")
            elif (form := (instruction.code[:4], size)) not in self.seen:
                self.seen.add(form)
                self.compare_writes(instruction.code, address, mnemonic, instruction.writes)

    def compare_writes(self, code: bytes, address: int, mnemonic: str, writes: int | None) -> None:
        if writes is None:
            return
        self.known += 1
        expected = written_by_capstone(next(self.details.disasm(code, address)))
        name = mnemonic.split()[-1]
        expected |= CAPSTONE_MISSES.get(name, 0)
        if expected != writes and expected & ~CAPSTONE_ADDS.get(name, 0) != writes:
            self.differences.append(f"{address:#x} {mnemonic}: {expected:#x}, not {writes:#x}")


def check(path: Path, at_least: int) -> None:
    comparison = Comparison()
    for start, code in islice(bodies(path), None, None, 3):
        comparison.compare(start, code)
    print(f"{path}: {comparison.count} instructions, {comparison.known} forms", file=sys.stderr)
    assert comparison.differences == []
    assert comparison.count >= at_least


@pytest.mark.parametrize(("name", "at_least"), [("libc.so.6", 80_000), ("libcrypto.so", 130_000)])
def test_system_libraries(name: str, at_least: int) -> None:
    check(library(name), at_least)


@pytest.mark.live
@pytest.mark.parametrize(("version", "at_least"), [("16", 130_000), ("22", 160_000)])
def test_packaged_asterisk(version: str, at_least: int) -> None:
    check(root.ensure(version) / "usr/sbin/asterisk", at_least)
