"""Where glibc keeps a thread's start routine: its offset in struct pthread, read from its own code.

It is another one in other versions: 0x640 in 2.31 and 2.43, 0x638 in 2.36. start_thread() in
nptl/pthread_create.c calls it with the member that follows it, and stores what it returned:

    mov  0x640(%rbx),%rdi
    call *0x638(%rbx)
    mov  %rax,%fs:0x628
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from itertools import islice

from profiler.binary.elf import MAX_READ_BYTES, Elf

# struct pthread in nptl/descr.h: result, schedparam (4 bytes), schedpolicy (4), start_routine, arg.
_BEHIND_RESULT = 16
_ARGUMENT_BEHIND = 8
_OFFSETS = range(0x100, 0x4000)
_BYTES_BEFORE = 96  # of code in which routine and argument are loaded; 13 to 31 were seen
_MAX_STORES = 1_000  # glibc 2.36 has 43
_MAX_RANGES = 8  # a C library has one

_DISTANCE = struct.Struct("<i")
_STORE = re.compile(rb"\x64[\x48\x4c]\x89[\x04\x0c\x14\x1c\x24\x2c\x34\x3c]\x25(....)", re.DOTALL)
# A call of what is in memory, or a load of it into a register; by a register or by fs. The form
# with r12 has a byte more.
_ROUTINE = rb"(?:\xff[\x90-\x97]\x24?|[\x48-\x4d]\x8b[\x80-\xbf]\x24?|\x64\xff\x14\x25)"
_ARGUMENT = rb"(?:[\x48\x49]\x8b[\xb8-\xbf]\x24?|\x64\x48\x8b\x3c\x25)"  # into rdi


def start_routine_offset(elf: Elf) -> int | None:
    """Return the offset that a C library's code uses; None unless it shows exactly one."""
    found = {
        offset
        for offset, before in islice(_stores(elf), _MAX_STORES)
        if offset in _OFFSETS and _starts_by(before, offset)
    }
    return found.pop() if len(found) == 1 else None


def _stores(elf: Elf) -> Iterator[tuple[int, bytes]]:
    """Yield what lies behind each stored result, and the code before the store."""
    for start, end in islice(elf.code_ranges, _MAX_RANGES):
        code = elf.read_at(start, min(end - start, MAX_READ_BYTES)) or b""
        for store in _STORE.finditer(code):
            before = code[max(0, store.start() - _BYTES_BEFORE) : store.start()]
            yield _DISTANCE.unpack(store[1])[0] + _BEHIND_RESULT, before


def _starts_by(code: bytes, offset: int) -> bool:
    """Return whether code loads routine and argument from there."""
    loads = ((_ROUTINE, offset), (_ARGUMENT, offset + _ARGUMENT_BEHIND))
    return all(re.search(form + re.escape(_DISTANCE.pack(at)), code) for form, at in loads)
