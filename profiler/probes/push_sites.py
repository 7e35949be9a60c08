"""Reports to the sampler which probed instructions are pushes, so that it reads the stack right.

While the kernel handles a probed push, the saved instruction pointer and stack pointer do not fit
each other for a moment; a sample that falls into it would be unwound one slot off.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from profiler.linux.module import BpfModule
from profiler.probes.planner import PlannedProbe
from profiler.wire.unwind import push_site

# System V psABI x86-64, table 3.36: DWARF numbers of the general registers.
_DWARF_NUMBERS = {
    name: number
    for number, name in enumerate(("rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"))
} | {f"r{number}": number for number in range(8, 16)}


def push_value(probe: PlannedProbe) -> int | None:
    """Return what cpu_push_sites holds for a probe, None when it does not sit on such a push."""
    mnemonic, _, operand = probe.site.instruction.partition(" ")
    register = operand.removeprefix("%")
    if mnemonic != "push" or register not in _DWARF_NUMBERS:
        return None
    number = _DWARF_NUMBERS[register]
    return push_site(number, 1 if number < 8 else 2, probe.site.stack_bytes == 0)


def report_push_sites(module: BpfModule, probes: Iterable[PlannedProbe]) -> None:
    """Fill the sampler's table of probed pushes."""
    for probe in probes:
        value = push_value(probe)
        if value is not None:
            module.map("cpu_push_sites").set(
                struct.pack("<Q", probe.point.address), struct.pack("<I", value)
            )


def forget_push_site(module: BpfModule, probe: PlannedProbe) -> None:
    """Take a probe that is placed no more out of that table."""
    module.map("cpu_push_sites").delete(struct.pack("<Q", probe.point.address))
