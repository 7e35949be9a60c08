"""How samples in the kernel find the registers that the user's code had when it entered it."""

from __future__ import annotations

import os

from profiler.linux import bpf
from profiler.linux.btf import offsets
from profiler.linux.compiled import INSTRUCTION

# What cpu.bpf.c does to find the registers of a thread that is in the kernel; helpers by their
# numbers in include/uapi/linux/bpf.h.
_FIND_REGISTERS = b"".join(
    INSTRUCTION.pack(*instruction)
    for instruction in (
        (0x85, 0, 0, 158),  # call bpf_get_current_task_btf, Linux 5.11
        (0xBF, 1, 0, 0),  # r1 = r0
        (0x85, 0, 0, 175),  # call bpf_task_pt_regs, Linux 5.15
        (0xB7, 0, 0, 0),  # r0 = 0
        (0x95, 0, 0, 0),  # exit
    )
)

KERNEL_SAMPLES_LACK_STACKS = (
    "samples in the kernel have no stack of Asterisk's functions: without BTF nobody knows where "
    "their registers are"
)


def has_task_registers() -> bool:
    """Return whether this kernel lets samples in the kernel see the user's registers."""
    try:
        os.close(bpf.load_program(_FIND_REGISTERS, bpf.PROG_PERF_EVENT, 0, "registers"))
    except OSError:
        return False
    return True


def register_definitions() -> dict[str, int]:
    """Return the macros by which samples in the kernel find the user's registers.

    Without the helper they are looked for where the kernel is known to save them: at the far end of
    the thread's stack.
    """
    if has_task_registers():
        return {"CPU_TASK_REGISTERS": 1}
    stack = offsets("task_struct", ("stack",))
    return {"CPU_TASK_REGISTERS": 0, **({"CPU_TASK_STACK": stack[0]} if stack else {})}


def kernel_samples_have_stacks() -> bool:
    """Return whether samples in the kernel find the user's registers, and so the user's stack."""
    return any(register_definitions().values())
