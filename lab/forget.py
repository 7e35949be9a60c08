"""A copy of one of Asterisk's modules in which one release of a reference is taken out.

ao2_cleanup passes its line in ecx to __ao2_cleanup_debug (include/asterisk/astobj2.h). The line
tells which call it is; the call becomes an instruction that does nothing. Otherwise the module is
as Debian packages it, stripped.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

MOV_ECX_IMM32 = b"\xb9"
CALL_REL32 = b"\xe8"
NOTHING = bytes.fromhex("0f1f440000")  # nopl 0(%rax,%rax,1): as long as the call
# The other arguments are loaded between the line and the call.
SEARCHED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Release:
    """Where a registration gives back a reference."""

    module: str
    file: str
    line: int
    function: str
    what: str


RELEASES = {
    # channels/chan_sip.c of 16.28.0: the peer that a REGISTER was checked against
    "16": Release("chan_sip.so", "chan_sip.c", 18160, "register_verify", "one peer"),
    # res/res_pjsip_registrar.c of 22.10.1: the copy of a contact that a REGISTER refreshed
    "22": Release(
        "res_pjsip_registrar.so",
        "res_pjsip_registrar.c",
        1018,
        "register_aor_core",
        "one contact",
    ),
}


def without_release(elf: bytes, line: int) -> bytes:
    """Return the module without the release on that line; refuse one that has not exactly one."""
    load = MOV_ECX_IMM32 + struct.pack("<i", line)
    if elf.count(load) != 1:
        raise LabError(f"line {line} is not loaded exactly once: the module is of another version")
    start = elf.index(load) + len(load)
    call = elf.find(CALL_REL32, start, start + SEARCHED_BYTES)
    if call < 0:
        raise LabError(f"no call follows line {line}")
    return elf[:call] + NOTHING + elf[call + len(NOTHING) :]


def copy_without_release(modules: Path, version: str) -> None:
    """Replace the version's module in that directory by a changed copy, never through a link."""
    release = RELEASES[version]
    path = modules / release.module
    changed = without_release(path.read_bytes(), release.line)
    path.unlink()
    path.write_bytes(changed)
