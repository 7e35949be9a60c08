"""The programs that sample, and those that follow lookups, loaded for a process."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from profiler.linux.bcc import compile_programs
from profiler.linux.module import BpfModule
from profiler.probes.attach import VARIANTS, UprobePrograms, Variant, load_programs
from profiler.process.threads import thread_exits
from profiler.sampling.sampling_programs import SOURCES, sampling_macros
from profiler.unwind.kernel_tables import TableLibrary

ROOM = {"threads": 4096, "groups": 16384, "entry_counts": 16384, "lookup_stacks": 16384}
ROOM |= {"histograms": 262_144, "unwind_stacks": 1 << 20, "offcpu_waits": 1024}


def sampling_module(pid: int, room: Mapping[str, int] = ROOM, **macros: int) -> BpfModule:
    """Return the programs that sample a process, and report ends of its threads."""
    compiled = compile_programs(SOURCES, {**sampling_macros(), **macros})
    sizes = {**TableLibrary().map_sizes(), **ROOM, **room}
    return BpfModule(compiled, {"TARGET_TGID": pid}, sizes)


def exits_module(pid: int, **macros: int) -> BpfModule:
    """Return the programs that report ends of a process's threads."""
    compiled = compile_programs(("exits.bpf.c",), {**thread_exits.definitions(), **macros})
    return BpfModule(compiled, {"TARGET_TGID": pid}, {})


def births_module(pid: int, start_routine_offset: int, **macros: int) -> BpfModule:
    """Return the program that reports births of a process's threads."""
    compiled = compile_programs(("births.bpf.c",), {**sampling_macros(), **macros})
    numbers = {"TARGET_TGID": pid, "START_ROUTINE_OFFSET": start_routine_offset}
    return BpfModule(compiled, numbers, {})


def present_threads_module(pid: int, **macros: int) -> BpfModule:
    """Return the program that reports a process's threads and their registers."""
    compiled = compile_programs(("present_threads.bpf.c",), {**sampling_macros(), **macros})
    return BpfModule(compiled, {"TARGET_TGID": pid}, {})


@contextmanager
def lookup_programs(
    macros: Mapping[str, int], variants: Sequence[Variant] = VARIANTS, pid: int | None = None
) -> Iterator[UprobePrograms]:
    """Load the programs that follow lookups, for this process unless for another one."""
    with sampling_module(pid or os.getpid()) as base:
        programs = load_programs(base, macros, variants)
        try:
            yield programs
        finally:
            programs.close()
