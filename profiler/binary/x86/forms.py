"""The lookup table of instruction forms, built once from the rows of x86_tables.py."""

from __future__ import annotations

from dataclasses import dataclass

from profiler.binary.x86.opcodes import ONE_BYTE_ROWS, ROWS_0F, ROWS_3A, ROWS_38, generated_rows

ONE_BYTE, MAP_0F, MAP_38, MAP_3A = range(4)
PREFIXES = ("", "66", "F2", "F3")
REGISTERS = ("ax", "cx", "dx", "bx", "sp", "bp", "si", "di", *(f"r{n}" for n in range(8, 16)))


@dataclass(frozen=True, slots=True)
class Form:
    """What one opcode means: its operands, and the general registers that it writes unasked.

    `implicit` is a bit mask by register number, None when the writes are not known; `written` is
    how many of the operands, from the first on, are destinations; `repeats` says that a repeat
    prefix makes it count rcx down.
    """

    mnemonic: str
    operands: tuple[str, ...]
    implicit: int | None
    written: int
    repeats: bool
    modrm: bool


def _span(text: str, base: int) -> range:
    """Return the numbers that "n" or "first-last" names."""
    first, _, last = text.partition("-")
    return range(int(first, base), int(last or first, base) + 1)


def _form(mnemonic: str, operand_text: str, note: str, has_group: bool) -> Form:
    operands = tuple(operand_text.split(",")) if operand_text else ()
    notes = note.split(",") if note else []
    if "?" in notes:
        implicit: int | None = None
    else:
        implicit = sum(1 << REGISTERS.index(name) for name in notes if name in REGISTERS)
    modrm = has_group or any(operand[0] in "EGMRVW" for operand in operands)
    written = 0 if "-" in notes else 2 if "+" in notes else 1
    return Form(mnemonic, operands, implicit, written, "*" in notes, modrm)


Table = list["Form | None"]


def _slot(opcode_map: int, opcode: int, prefix: int, extension: int, register_form: int) -> int:
    return ((((opcode_map << 8 | opcode) << 2 | prefix) << 3) | extension) << 1 | register_form


def _build() -> Table:
    """Return the table that `lookup` indexes; later rows and rows with a prefix override."""
    rows: list[tuple[int, str]] = []
    sources = (
        (ONE_BYTE, ONE_BYTE_ROWS),
        (MAP_0F, ROWS_0F),
        (MAP_38, ROWS_38),
        (MAP_3A, ROWS_3A),
    )
    for opcode_map, text in sources:
        rows += [(opcode_map, row) for row in text.split("\n") if row]
    for row in generated_rows().split("\n"):
        rows.append((MAP_0F, row[3:]) if row.startswith("0F.") else (ONE_BYTE, row))
    table: Table = [None] * (4 << 14)
    for opcode_map, row in sorted(rows, key=lambda item: "." in item[1].split()[0]):
        _enter(table, opcode_map, row)
    return table


def _enter(table: Table, opcode_map: int, row: str) -> None:
    key, mnemonic, *rest = row.split()
    operand_text = next((part for part in rest if not part.startswith("!")), "")
    note = next((part[1:] for part in rest if part.startswith("!")), "")
    prefix, dot, key = key.rpartition(".")
    opcode_text, slash, group = key.partition("/")
    forms = {"r": (1,), "m": (0,)}.get(group[-1:], (0, 1))
    extensions = _span(group.rstrip("rm"), 10) if slash else range(8)
    form = _form(mnemonic, operand_text, note, bool(slash))
    prefixes = (PREFIXES.index(prefix),) if dot else range(4)
    for opcode in _span(opcode_text, 16):
        for number in prefixes:
            for extension in extensions:
                for register_form in forms:
                    table[_slot(opcode_map, opcode, number, extension, register_form)] = form


_TABLE = _build()


def lookup(
    opcode_map: int, opcode: int, prefix: int, extension: int, register_form: int
) -> Form | None:
    """Return the form of an opcode; prefix is an index into PREFIXES; None: no such instruction."""
    return _TABLE[_slot(opcode_map, opcode, prefix, extension, register_form)]


def takes_modrm(opcode_map: int, opcode: int) -> bool:
    """Tell whether a ModRM byte follows the opcode (never depends on the prefixes)."""
    start = _slot(opcode_map, opcode, 0, 0, 0)
    return any(form.modrm for form in _TABLE[start : start + 64] if form is not None)
