"""The programs that sample, and say what else is known of threads: how they are built here.

Imports little, so that the compiler, where it is needed, begins before all else does.
"""

from __future__ import annotations

from profiler.linux.bcc import Compilation
from profiler.linux.module import ITERATOR_FUNCTIONS, kernel_functions
from profiler.linux.task_registers import register_definitions
from profiler.process.threads import present_threads, thread_births, thread_exits

SOURCES = ("cpu.bpf.c", "exits.bpf.c", "births.bpf.c", "present_threads.bpf.c", "offcpu.bpf.c")


def sampling_macros(kernel_frames: bool = True) -> dict[str, int]:
    """Return the C macros by which the programs are built."""
    return {
        "CPU_KERNEL_FRAMES": int(kernel_frames),
        "WALK_ITERATOR": int(kernel_functions().keys() >= ITERATOR_FUNCTIONS),
        **register_definitions(),
        **thread_exits.definitions(),
        **thread_births.definitions(),
        **present_threads.definitions(),
    }


def compile_sampling(kernel_frames: bool) -> Compilation:
    """Begin to compile, unless the cache has what would come out. Close what is returned."""
    return Compilation(SOURCES, sampling_macros(kernel_frames))
