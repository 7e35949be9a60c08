"""A copy of Asterisk's binary with another number of buckets for the taskprocessors.

Asterisk up to 13.19, 14 and 15.2 had 7 buckets (TPS_MAX_BUCKETS in main/taskprocessor.c); commit
7ed7d525fb of January 2018 made them 1567. The exported ast_tps_init passes the number to
__ao2_container_alloc_hash in edx, so one immediate differs.
"""

import struct
from pathlib import Path

from lab.errors import LabError
from profiler.binary.elf import Elf, ElfError
from profiler.binary.symtab import read_dynsym

PACKAGED_BUCKETS = 1567
FUNCTION = "ast_tps_init"
# ast_tps_init is a few hundred bytes long in every build seen.
SEARCHED_BYTES = 512
MOV_EDX_IMM32 = b"\xba"


def file_offset(binary: Elf, name: str) -> int:
    """Return where in the file an exported function begins."""
    exported = read_dynsym(binary)
    symbol = exported.find(name) if exported is not None else None
    if symbol is None:
        raise LabError(f"the binary exports no {name}")
    offset = binary.offset_of(symbol.value)
    if offset is None:
        raise LabError(f"address {symbol.value:#x} is not in the file")
    return offset


def with_buckets(elf: bytes, buckets: int) -> bytes:
    """Return the binary with that many buckets for the taskprocessors.

    Refuses a binary in which the immediate is not found exactly once.
    """
    if not 1 <= buckets <= 1 << 20:
        raise LabError(f"{buckets} is no number of buckets", "choose 1 to 1048576")
    try:
        start = file_offset(Elf.from_bytes(elf), FUNCTION)
    except ElfError as error:
        raise LabError(f"the binary cannot be changed: {error}") from error
    instruction = MOV_EDX_IMM32 + struct.pack("<i", PACKAGED_BUCKETS)
    code = elf[start : start + SEARCHED_BYTES]
    if code.count(instruction) != 1:
        raise LabError(f"{FUNCTION} does not load {PACKAGED_BUCKETS} exactly once")
    place = start + code.index(instruction)
    changed = MOV_EDX_IMM32 + struct.pack("<i", buckets)
    return elf[:place] + changed + elf[place + len(changed) :]


def copy_with_buckets(source: Path, target: Path, buckets: int) -> None:
    """Write the changed copy of source to target, which must not exist."""
    target.write_bytes(with_buckets(source.read_bytes(), buckets))
    target.chmod(0o755)
