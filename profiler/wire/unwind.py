"""Mirror of bpf/unwind_wire.h and bpf/cpu_wire.h: what kernel and user side share.

tests/unit/wire/test_unwind.py compiles the headers and compares sizes, offsets and constants.
"""

from __future__ import annotations

import struct

MAX_FRAMES = 128
ROOT_FRAMES = 64
MAX_KERNEL_FRAMES = 128
MAX_MAPPINGS = 4096
BLOCK_SHIFT = 10

# enum unwind_cause; the names that people see
CAUSES = (
    "unfinished",
    "whole",
    "no table",
    "no rule",
    "unsupported rule",
    "unreadable stack",
    "too deep",
    "unknown mapping",
    "bad return address",
    "stack went backwards",
    "no registers",
    "tail call refused",
)
WHOLE = 1

# enum cpu_counter
CPU_COUNTERS = ("fired", "kept", "lost", "truncated")

# enum unwind_kind
KIND_NONE, KIND_RSP, KIND_RBP, KIND_PLT, KIND_END, KIND_SIGNAL, KIND_WIDE, KIND_BAD = range(8)
KIND_CLONE, KIND_REGISTER = 8, 9
KIND_SHIFT, SLOT_SHIFT, OFFSET_MASK = 28, 20, 0xFFFFF
SLOT_LOST = -128

# enum unwind_bp
BP_SAME, BP_AT_CFA, BP_AT_BP, BP_LOST = range(4)

ROW = struct.Struct("<Q")  # code offset << 32 | word
WIDE_RULE = struct.Struct("<BBBbiii")  # struct unwind_rule
BLOCK = struct.Struct("<II")  # struct unwind_block
MAPPING = struct.Struct("<QQQIIIIII")  # struct unwind_mapping
ACTIVE = struct.Struct("<II")  # struct unwind_active
# struct unwind_stack up to its frames: key, check, time_ns, tid, count, kernel_count, cause,
# depth, 0
STACK_HEAD = struct.Struct("<QQQIHBBII")
STACK_NAME_BYTES = 16  # key and check
CPU_TIME = struct.Struct("<QQ")  # struct cpu_time: started_ns, taken_ns

PUSH_IS_FIRST = 0x10000


def push_site(register: int, instruction_bytes: int, is_first: bool) -> int:
    """Return the value of cpu_push_sites for a probed push; `register` by DWARF number."""
    return register | instruction_bytes << 8 | (PUSH_IS_FIRST if is_first else 0)


def word(kind: int, slot: int = 0, offset: int = 0) -> int:
    """Return a rule word."""
    return kind << KIND_SHIFT | (slot & 0xFF) << SLOT_SHIFT | offset
