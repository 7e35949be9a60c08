"""Builds small C and assembler programs with gcc, and opens what it made as a code image."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from profiler.binary.code_image import CodeImage
from profiler.binary.elf import Elf
from profiler.binary.functions import functions
from profiler.binary.instructions import Instruction
from profiler.binary.symtab import read_symtab


def build(
    folder: Path, source: str, *flags: str, suffix: str = ".c", compiler: str = "gcc"
) -> Path:
    """Compile one source text into a program and return its path."""
    text, program = folder / f"program{suffix}", folder / "program"
    text.write_text(source)
    subprocess.run([compiler, "-o", program, text, *flags], check=True)
    return program


def assemble(folder: Path, body: str, *flags: str) -> CodeImage:
    """Assemble functions into a shared library; `body` uses the macros FUNCTION(name) and END."""
    lines = [".text"]
    name = ""
    for line in body.strip().splitlines():
        word = line.strip()
        if word.startswith("FUNCTION "):
            name = word.split()[1]
            lines += [f".globl {name}", f".type {name},@function", ".p2align 4", f"{name}:"]
            lines.append(".cfi_startproc")
        elif word == "END":
            lines += [".cfi_endproc", f".size {name},.-{name}"]
        else:
            lines.append(line)
    source = "\n".join(lines) + '\n.section .note.GNU-stack,"",@progbits\n'
    program = build(folder, source, "-shared", "-nostdlib", "-Wl,-Bsymbolic", *flags, suffix=".s")
    return image_of(program)


@cache
def machine_code(text: str) -> bytes:
    """Return the bytes of instructions, which are separated by semicolons."""
    with TemporaryDirectory() as folder:
        made = Path(folder) / "made.o"
        subprocess.run(["as", "-o", made, "-"], input=text + "\n", text=True, check=True)
        elf = Elf.from_bytes(made.read_bytes())
    section = elf.section(".text")
    assert section is not None
    return elf.data(section)


def start_of(image: CodeImage, name: str = "f") -> int:
    """Return the address of an exported function."""
    address = image.exported(name)
    assert address is not None
    return address


def code_of(image: CodeImage, name: str = "f") -> tuple[Instruction, ...]:
    """Return the instructions of an exported function."""
    function = image.function(start_of(image, name))
    assert function is not None
    code = image.instructions(function)
    assert code is not None
    return code


def image_of(path: Path) -> CodeImage:
    """Open a file as a code image."""
    elf = Elf.from_bytes(path.read_bytes())
    return CodeImage(elf, functions(elf))


def symbols_of(path: Path) -> dict[str, int]:
    """Return name and address of every function in the full symbol table."""
    table = read_symtab(Elf.from_bytes(path.read_bytes()))
    assert table is not None
    return {table.name(index): table.values[index] for index in table.functions()}
