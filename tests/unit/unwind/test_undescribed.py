"""Rules that were inferred are true at every instruction that a program executes.

The program runs one instruction at a time, and its calls and returns are followed: that needs no
rules at all.
"""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from profiler.binary.elf import Elf
from profiler.binary.functions import call_frames, code_entries
from profiler.binary.symtab import read_symtab
from profiler.unwind.machine import InRegister, State
from profiler.unwind.rules import BEGINS, SIGNAL, Span
from profiler.unwind.undescribed import inferred_rules

PROGRAMS = Path(__file__).parent / "programs"
MUSL = Path("/lib/ld-musl-x86_64.so.1")
NO_FRAMES = ("-fno-asynchronous-unwind-tables", "-fno-unwind-tables")


@pytest.fixture(scope="module")
def stepper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stepper") / "stepper"
    subprocess.run(["gcc", "-O2", "-o", path, PROGRAMS / "stepper.c"], check=True)
    return path


def rules_of(path: Path) -> list[Span]:
    elf = Elf.from_bytes(path.read_bytes())
    return inferred_rules(elf, code_entries(call_frames(elf), elf.code_ranges))


def line_of(span: Span, low: int) -> str:
    cfa, offset, rbp, slot, _ = span.state
    where = 1000 + slot.number if isinstance(slot, InRegister) else slot
    kinds = {type(None): "k 0", int: f"s {rbp}"}
    rule = f"{cfa} {offset} {where} {kinds.get(type(rbp), 'u 0')}"
    return f"{span.start - low:x} {span.end - low:x} {rule}\n"


def step(stepper: Path, program: Path, path: Path, steps: int) -> tuple[int, int]:
    """Return how many rules for code in `path` were right, and how many instructions have none."""
    low = Elf.from_bytes(path.read_bytes()).loads[0].address
    spans = [span for span in rules_of(path) if isinstance(span.state[3], (int, InRegister))]
    rules = program.with_suffix(".rules")
    rules.write_text("".join(line_of(span, low) for span in spans))
    command = [str(word) for word in (stepper, path.resolve(), rules, steps, program)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "wrong" not in run.stdout
    found = re.search(r"right (\d+) without (\d+)", run.stdout)
    assert found
    return int(found[1]), int(found[2])


@pytest.mark.parametrize(
    "flags", ["-O0", "-O1", "-O2", "-O3", "-Os", "-O2 -fno-omit-frame-pointer"]
)
@pytest.mark.parametrize("symbols", ["", "-s"])
def test_rules_of_compiled_code_are_true(
    stepper: Path, tmp_path: Path, flags: str, symbols: str
) -> None:
    program = tmp_path / "program"
    options = [*flags.split(), *NO_FRAMES, *symbols.split()]
    subprocess.run(["gcc", *options, "-o", program, PROGRAMS / "undescribed.c"], check=True)
    right, _ = step(stepper, program, program, 20_000)
    assert right > 1_500


def test_most_code_has_rules(stepper: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    subprocess.run(
        ["gcc", "-O2", *NO_FRAMES, "-o", program, PROGRAMS / "undescribed.c"], check=True
    )
    right, without = step(stepper, program, program, 20_000)
    assert without < right / 50


def assembly(folder: Path) -> Path:
    program = folder / "program"
    subprocess.run(["gcc", "-o", program, PROGRAMS / "undescribed.s"], check=True)
    return program


def test_rules_of_assembly_are_true(stepper: Path, tmp_path: Path) -> None:
    program = assembly(tmp_path)
    right, without = step(stepper, program, program, 5_000)
    assert right > 3_000
    assert without < right / 10


def test_what_is_no_usual_function_has_no_rule(tmp_path: Path) -> None:
    program = assembly(tmp_path)
    symbols = read_symtab(Elf.from_bytes(program.read_bytes()))
    never = symbols.find("never") if symbols else None
    assert never
    assert not any(span.start == never.value for span in rules_of(program))


def test_rules_of_the_c_library_musl_are_true(stepper: Path, tmp_path: Path) -> None:
    assert shutil.which("musl-gcc"), "apt-get install musl-tools"
    program = tmp_path / "program"
    subprocess.run(["musl-gcc", "-O1", "-o", program, PROGRAMS / "musl.c"], check=True)
    right, without = step(stepper, program, MUSL, 150_000)
    assert right > 100_000
    assert without < right / 20


def states(path: Path) -> set[object]:
    return {span.state[3] for span in rules_of(path)}


def test_musl_begins_threads_and_leaves_handlers_of_signals() -> None:
    found: set[State | object] = {span.state for span in rules_of(MUSL)}
    assert SIGNAL in found
    assert {BEGINS, "undefined", InRegister(1)} <= states(MUSL)


def test_a_file_that_is_described_has_no_inferred_rules() -> None:
    elf = Elf.from_bytes(Path("/bin/true").read_bytes())
    low, high = elf.code_ranges[0]
    whole = [(start, end, None, b"") for start, end in ((low, high),)]
    assert inferred_rules(elf, whole) == []


def segments(*places: tuple[int, int, bytes]) -> Elf:
    """Return a file without sections, with executable segments (address, offset, contents)."""
    data = bytearray(max(offset + len(code) for _, offset, code in places))
    for index, (address, offset, code) in enumerate(places):
        row = struct.pack("<IIQQQQQQ", 1, 5, offset, address, address, len(code), len(code), 1)
        data[64 + 56 * index : 120 + 56 * index] = row
        data[offset : offset + len(code)] = code
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    entry, count = places[0][0], len(places)
    head = (ident, 3, 62, 1, entry, 64, 0, 0, 64, 56, count, 64, 0, 0)
    data[:64] = struct.pack("<16sHHIQQQIHHHHHH", *head)
    return Elf.from_bytes(bytes(data))


@pytest.mark.parametrize("begin", [b"\x48\x8d\x05\x20\0\0\0", b"\xe9\x20\0\0\0"])
@pytest.mark.parametrize("address", [(1 << 64) - 16, (1 << 64) - 8, (1 << 63) - 4])
def test_code_at_addresses_that_no_program_has_is_left_out(begin: bytes, address: int) -> None:
    elf = segments((address, 0x1000, begin + bytes([0xC3]) * 9))
    assert inferred_rules(elf, []) == []
