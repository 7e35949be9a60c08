"""A copy of Asterisk's binary with another number of buckets for the taskprocessors.

Asterisk up to 13.19, 14 and 15.2 had 7 buckets (TPS_MAX_BUCKETS in main/taskprocessor.c); commit
7ed7d525fb of January 2018 made them 1567. The exported ast_tps_init passes the number to
__ao2_container_alloc_hash in edx, so one immediate differs.
"""

import struct
from pathlib import Path

from lab.errors import LabError

PACKAGED_BUCKETS = 1567
FUNCTION = b"ast_tps_init"
# ast_tps_init is a few hundred bytes long in every build seen.
SEARCHED_BYTES = 512
MOV_EDX_IMM32 = b"\xba"
SHT_DYNSYM = 11
PT_LOAD = 1


def symbol_address(elf: bytes, name: bytes) -> int:
    """Return the virtual address of a dynamic symbol of a 64-bit little-endian ELF file."""
    (section_offset,) = struct.unpack_from("<Q", elf, 40)
    entry_size, count = struct.unpack_from("<HH", elf, 58)
    sections = [
        struct.unpack_from("<IIQQQQIIQQ", elf, section_offset + entry_size * index)
        for index in range(count)
    ]
    for section in sections:
        if section[1] != SHT_DYNSYM:
            continue
        strings = sections[section[6]][4]
        for offset in range(section[4], section[4] + section[5], 24):
            name_offset, _info, _other, _index, value, _size = struct.unpack_from(
                "<IBBHQQ", elf, offset
            )
            start = strings + name_offset
            if elf[start : start + len(name) + 1] == name + b"\0" and value:
                return int(value)
    raise LabError(f"the binary exports no {name.decode()}")


def file_offset(elf: bytes, address: int) -> int:
    """Return where in the file the byte at a virtual address is stored."""
    (program_offset,) = struct.unpack_from("<Q", elf, 32)
    entry_size, count = struct.unpack_from("<HH", elf, 54)
    for index in range(count):
        kind, _flags, offset, start, _physical, size = struct.unpack_from(
            "<IIQQQQ", elf, program_offset + entry_size * index
        )
        if kind == PT_LOAD and start <= address < start + size:
            return int(offset + address - start)
    raise LabError(f"address {address:#x} is not in the file")


def with_buckets(elf: bytes, buckets: int) -> bytes:
    """Return the binary with that many buckets for the taskprocessors.

    Refuses a binary in which the immediate is not found exactly once.
    """
    if elf[:6] != b"\x7fELF\x02\x01":
        raise LabError("the binary is no 64-bit little-endian ELF file")
    if not 1 <= buckets <= 1 << 20:
        raise LabError(f"{buckets} is no number of buckets", "choose 1 to 1048576")
    start = file_offset(elf, symbol_address(elf, FUNCTION))
    instruction = MOV_EDX_IMM32 + struct.pack("<i", PACKAGED_BUCKETS)
    code = elf[start : start + SEARCHED_BYTES]
    if code.count(instruction) != 1:
        raise LabError(f"{FUNCTION.decode()} does not load {PACKAGED_BUCKETS} exactly once")
    place = start + code.index(instruction)
    changed = MOV_EDX_IMM32 + struct.pack("<i", buckets)
    return elf[:place] + changed + elf[place + len(changed) :]


def copy_with_buckets(source: Path, target: Path, buckets: int) -> None:
    """Write the changed copy of source to target, which must not exist."""
    target.write_bytes(with_buckets(source.read_bytes(), buckets))
    target.chmod(0o755)
