"""VEX, EVEX and XOP instructions: which immediate follows, and which general registers they write.

Nearly all work on vector and mask registers alone; the tables list the exceptions.
Source: Intel SDM volume 2 (VEX and EVEX opcode tables), AMD APM volumes 3 and 4 (XOP maps 8 to 10).
"""

from __future__ import annotations

NO_PREFIX, P66, PF3, PF2 = range(4)
_SCALAR = frozenset((PF3, PF2))
_ANY = frozenset(range(4))

_BYTE_IMMEDIATE_MAP_1 = frozenset((0x70, 0x71, 0x72, 0x73, 0xC2, 0xC4, 0xC5, 0xC6))

# (map, opcode) -> mandatory prefixes for which it holds, fields that name a written register:
# G ModRM.reg, E ModRM.rm when it is a register, B the vvvv field, c the implied rcx.
_GENERAL_WRITES: dict[tuple[int, int], tuple[frozenset[int], str]] = {
    (1, 0x2C): (_SCALAR, "G"),  # vcvttss2si, vcvttsd2si
    (1, 0x2D): (_SCALAR, "G"),  # vcvtss2si, vcvtsd2si
    (1, 0x50): (_ANY, "G"),  # vmovmskps
    (1, 0x78): (_SCALAR, "G"),  # vcvttss2usi
    (1, 0x79): (_SCALAR, "G"),  # vcvtss2usi
    (1, 0x7E): (frozenset((P66,)), "E"),  # vmovd to a general register
    (1, 0x93): (_ANY, "G"),  # kmov from a mask register
    (1, 0xC5): (_ANY, "G"),  # vpextrw
    (1, 0xD7): (_ANY, "G"),  # vpmovmskb
    (2, 0xF2): (_ANY, "G"),  # andn
    (2, 0xF3): (_ANY, "B"),  # blsr, blsmsk, blsi
    (2, 0xF5): (_ANY, "G"),  # bzhi, pdep, pext
    (2, 0xF6): (_ANY, "GB"),  # mulx
    (2, 0xF7): (_ANY, "G"),  # bextr, sarx, shlx, shrx
    (3, 0x14): (_ANY, "E"),  # vpextrb
    (3, 0x15): (_ANY, "E"),  # vpextrw
    (3, 0x16): (_ANY, "E"),  # vpextrd
    (3, 0x17): (_ANY, "E"),  # vextractps
    (3, 0x61): (_ANY, "c"),  # vpcmpestri
    (3, 0x63): (_ANY, "c"),  # vpcmpistri
    (3, 0xF0): (_ANY, "G"),  # rorx
    (5, 0x2C): (_SCALAR, "G"),  # vcvttsh2si
    (5, 0x2D): (_SCALAR, "G"),  # vcvtsh2si
    (5, 0x78): (_SCALAR, "G"),  # vcvttsh2usi
    (5, 0x79): (_SCALAR, "G"),  # vcvtsh2usi
    (5, 0x7E): (_ANY, "E"),  # vmovw
}


def vex_immediate_bytes(opcode_map: int, opcode: int) -> int | None:
    """Return the size of the immediate after a VEX or EVEX opcode; None: no such map."""
    if opcode_map == 1:
        return 1 if opcode in _BYTE_IMMEDIATE_MAP_1 else 0
    return {2: 0, 3: 1, 5: 0, 6: 0}.get(opcode_map)


def xop_immediate_bytes(opcode_map: int) -> int | None:
    """Return the size of the immediate after an XOP opcode; None: no such map."""
    return {8: 1, 9: 0, 10: 4}.get(opcode_map)


def xop_written_fields(opcode_map: int, opcode: int) -> str | None:
    """As `vex_written_fields`; the few XOP instructions on general registers are not known."""
    return None if opcode_map == 10 or (opcode_map == 9 and opcode in (1, 2, 0x12)) else ""


def vex_has_modrm(opcode_map: int, opcode: int) -> bool:
    """Tell whether a ModRM byte follows: always but for vzeroupper and vzeroall."""
    return (opcode_map, opcode) != (1, 0x77)


def vex_written_fields(opcode_map: int, opcode: int, prefix: int) -> str | None:
    """Return the fields that name written general registers ("" for none); None: not known."""
    if (opcode_map, opcode) in _GENERAL_WRITES:
        prefixes, fields = _GENERAL_WRITES[opcode_map, opcode]
        return fields if prefix in prefixes else ""
    # The upper rows of map 2 and 3 gather the instructions on general registers, old and new.
    return None if opcode_map in (2, 3) and opcode >= 0xE0 else ""
