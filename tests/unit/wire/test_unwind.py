"""The mirrors agree with the headers, as the C compiler lays them out."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from profiler.linux.bcc import bpf_directory
from profiler.process import thread_exits
from profiler.wire import unwind as wire

STRUCTS = {
    "unwind_rule": wire.WIDE_RULE.size,
    "unwind_block": wire.BLOCK.size,
    "unwind_mapping": wire.MAPPING.size,
    "unwind_active": wire.ACTIVE.size,
    "unwind_stack": wire.STACK_BYTES,
    "cpu_sample": wire.SAMPLE.size,
    "cpu_time": wire.CPU_TIME.size,
    "thread_exit": thread_exits.RECORD.size,
}
# Offsets of all fields in order, as the formats of the mirror imply them.
FIELDS = {
    "unwind_rule": {
        "reg": 0,
        "is_memory": 1,
        "bp": 2,
        "bx": 3,
        "offset": 4,
        "added": 8,
        "bp_offset": 12,
    },
    "unwind_block": {"first": 0, "count": 4},
    "unwind_mapping": {
        "start": 0,
        "end": 8,
        "base": 16,
        "rows": 24,
        "blocks": 28,
        "count": 32,
        "rules": 36,
        "follows_bx": 40,
    },
    "unwind_active": {"half": 0, "count": 4},
    "unwind_stack": {
        "check": 0,
        "cause": 8,
        "count": 12,
        "kernel_count": 14,
        "frames": wire.STACK_HEAD.size,
        "kernel": wire.STACK_HEAD.size + 8 * wire.MAX_FRAMES,
    },
    "cpu_sample": {"time_ns": 0, "stack": 8, "tid": 16, "cause": 20},
    "cpu_time": {"started_ns": 0, "taken_ns": 8},
    "thread_exit": {
        "cpu_ns": 0,
        "run_delay_ns": 8,
        "started_ns": 16,
        "tid": 24,
        "is_freed": 28,
        "name": 32,
    },
}
CONSTANTS = {
    "UNWIND_MAX_FRAMES": wire.MAX_FRAMES,
    "UNWIND_MAX_KERNEL_FRAMES": wire.MAX_KERNEL_FRAMES,
    "UNWIND_MAX_MAPPINGS": wire.MAX_MAPPINGS,
    "UNWIND_BLOCK_SHIFT": wire.BLOCK_SHIFT,
    "UNWIND_KIND_SHIFT": wire.KIND_SHIFT,
    "UNWIND_SLOT_SHIFT": wire.SLOT_SHIFT,
    "UNWIND_OFFSET_MASK": wire.OFFSET_MASK,
    "UNWIND_SLOT_LOST": wire.SLOT_LOST,
    "UNWIND_KIND_NONE": wire.KIND_NONE,
    "UNWIND_KIND_RSP": wire.KIND_RSP,
    "UNWIND_KIND_RBP": wire.KIND_RBP,
    "UNWIND_KIND_PLT": wire.KIND_PLT,
    "UNWIND_KIND_END": wire.KIND_END,
    "UNWIND_KIND_SIGNAL": wire.KIND_SIGNAL,
    "UNWIND_KIND_WIDE": wire.KIND_WIDE,
    "UNWIND_KIND_BAD": wire.KIND_BAD,
    "UNWIND_KIND_CLONE": wire.KIND_CLONE,
    "UNWIND_BP_SAME": wire.BP_SAME,
    "UNWIND_BP_AT_CFA": wire.BP_AT_CFA,
    "UNWIND_BP_AT_BP": wire.BP_AT_BP,
    "UNWIND_BP_LOST": wire.BP_LOST,
    "UNWIND_STORED": wire.STORED,
    "UNWIND_COLLIDED": wire.COLLIDED,
    "UNWIND_LOST": wire.LOST,
    "UNWIND_MORE": 0,
    "UNWIND_WHOLE": wire.WHOLE,
    "UNWIND_NO_TABLE": wire.CAUSES.index("no table"),
    "UNWIND_NO_RULE": wire.CAUSES.index("no rule"),
    "UNWIND_UNSUPPORTED": wire.CAUSES.index("unsupported rule"),
    "UNWIND_UNREADABLE": wire.CAUSES.index("unreadable stack"),
    "UNWIND_TOO_DEEP": wire.CAUSES.index("too deep"),
    "UNWIND_UNKNOWN_MAPPING": wire.CAUSES.index("unknown mapping"),
    "UNWIND_BAD_ADDRESS": wire.CAUSES.index("bad return address"),
    "UNWIND_BACKWARDS": wire.CAUSES.index("stack went backwards"),
    "UNWIND_NO_REGISTERS": wire.CAUSES.index("no registers"),
    "UNWIND_TAIL_CALL": wire.CAUSES.index("tail call refused"),
    "UNWIND_CAUSES": len(wire.CAUSES),
    "CPU_PUSH_IS_FIRST": wire.PUSH_IS_FIRST,
    "CPU_PUSH_BYTES(0x10203)": 2,
    "CPU_FIRED": wire.CPU_COUNTERS.index("fired"),
    "CPU_KEPT": wire.CPU_COUNTERS.index("kept"),
    "CPU_LOST": wire.CPU_COUNTERS.index("lost"),
    "CPU_COLLIDED": wire.CPU_COUNTERS.index("collided"),
    "CPU_TRUNCATED": wire.CPU_COUNTERS.index("truncated"),
    "CPU_COUNTERS": len(wire.CPU_COUNTERS),
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """Every wanted expression's value, printed by a C program that includes the headers."""
    wanted = [*CONSTANTS, *(f"sizeof(struct {name})" for name in STRUCTS)]
    wanted += [f"offsetof(struct {name}, {field})" for name in FIELDS for field in FIELDS[name]]
    prints = "\n".join(f'printf("%s=%lld\\n", "{one}", (long long)({one}));' for one in wanted)
    folder = tmp_path_factory.mktemp("layout")
    source, program = folder / "layout.c", folder / "layout"
    source.write_text(
        "#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n"
        "typedef uint8_t u8; typedef uint16_t u16; typedef uint32_t u32; typedef uint64_t u64;\n"
        "typedef int32_t s32;\n"
        '#include "unwind_wire.h"\n#include "cpu_wire.h"\n#include "exits_wire.h"\n'
        f"int main(void) {{ {prints} return 0; }}\n"
    )
    folder_of_headers: Path = bpf_directory()
    subprocess.run(
        ["gcc", "-Wall", f"-I{folder_of_headers}", str(source), "-o", str(program)], check=True
    )
    lines = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return {
        name: int(value)
        for name, _, value in (line.partition("=") for line in lines.split("\n") if line)
    }


@pytest.mark.parametrize("name", STRUCTS)
def test_sizes_agree(compiled: dict[str, int], name: str) -> None:
    assert compiled[f"sizeof(struct {name})"] == STRUCTS[name]


@pytest.mark.parametrize("name", FIELDS)
def test_offsets_agree(compiled: dict[str, int], name: str) -> None:
    offsets = {field: compiled[f"offsetof(struct {name}, {field})"] for field in FIELDS[name]}
    assert offsets == FIELDS[name]


def test_constants_agree(compiled: dict[str, int]) -> None:
    assert {name: compiled[name] for name in CONSTANTS} == CONSTANTS


def test_a_word_keeps_its_parts() -> None:
    packed = wire.word(wire.KIND_RBP, -3, 0xABCDE)
    assert packed >> wire.KIND_SHIFT == wire.KIND_RBP
    assert packed >> wire.SLOT_SHIFT & 0xFF == 256 - 3
    assert packed & wire.OFFSET_MASK == 0xABCDE


def test_a_push_site_keeps_its_parts() -> None:
    assert wire.push_site(6, 1, True) == 0x10106
    assert wire.push_site(12, 2, False) == 0x0020C
