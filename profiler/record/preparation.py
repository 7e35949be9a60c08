"""Gets everything ready to sample one target: loads the programs, fills the tables.

Nothing of the target is touched or measured yet when this is done. What it takes to measure lookups
comes behind, in lookup_preparation.py, while samples are being taken.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from profiler.errors import KernelError
from profiler.linux.bcc import Compilation, compile_programs
from profiler.linux.bpf import enable_program_statistics
from profiler.linux.cpus import online_cpus
from profiler.linux.module import BpfModule
from profiler.measure.sampler import CpuSampler, ring_bytes
from profiler.measure.sampling_programs import SOURCES, sampling_macros
from profiler.model.observed import WithoutTable
from profiler.probes.attach import VARIANTS, Variant
from profiler.process import thread_exits
from profiler.process.procfs import Process, read_tids
from profiler.process.target import TargetProcess
from profiler.process.thread_exits import ThreadExits
from profiler.unwind.kernel_tables import TableLibrary, UnwindTables

GROUPS = 16_384
HISTOGRAMS = 262_144
_LEAST_THREADS = 1_024


@dataclass(frozen=True, slots=True)
class Options:
    """What to record; durations in nanoseconds."""

    duration_ns: int
    frequency_hz: float = 99.0
    budget_ratio: float | None = 0.01
    lookups: bool = True
    kernel_frames: bool = True
    user_frames: bool = True
    command: tuple[str, ...] = ()
    symbols: str | None = None
    verify: bool = False
    variants: tuple[Variant, ...] = VARIANTS


@dataclass(frozen=True, slots=True)
class SamplingSetup:
    """What is in the kernel once samples can be taken."""

    module: BpfModule
    sampler: CpuSampler
    tables: UnwindTables
    without_table: WithoutTable
    exits: ThreadExits | None  # None: this kernel does not report so much
    warnings: tuple[str, ...]


def prepare_sampling(
    stack: ExitStack,
    process: Process,
    target: TargetProcess,
    options: Options,
    compilation: Compilation,
) -> SamplingSetup:
    """Load what samples; the stack unloads it. Raises ProfilerError or OSError."""
    library = TableLibrary()
    library.prepare(target.code.current)  # while the compiler runs
    sizes = {
        **library.map_sizes(),
        **_lookup_map_sizes(target.pid),
        "unwind_stacks": ring_bytes(options.frequency_hz, len(online_cpus())),
    }
    numbers = {"TARGET_TGID": target.pid}
    module = stack.enter_context(BpfModule(compilation.result(), numbers, sizes))
    try:
        sampler = CpuSampler(module, options.frequency_hz)
    except KernelError:  # some kernels have iterators and refuse them, as those without a JIT
        plain = {**sampling_macros(options.kernel_frames), "WALK_ITERATOR": 0}
        module = BpfModule(compile_programs(SOURCES, plain), numbers, sizes)
        stack.enter_context(module)
        sampler = CpuSampler(module, options.frequency_hz)
    tables = UnwindTables(module, library)
    without_table = tables.update(target.code.current)
    stack.callback(os.close, enable_program_statistics())
    exits, missing = _exits(stack, module)
    warnings = (*_stopped(process), *missing)
    return SamplingSetup(module, sampler, tables, without_table, exits, warnings)


def _stopped(process: Process) -> Iterator[str]:
    if process.stopped:
        yield (
            f"process {process.pid} was stopped, by a signal or a debugger, when this began: "
            f"kill -CONT {process.pid}"
        )


def _lookup_map_sizes(pid: int) -> dict[str, int]:
    """Return entries by map, of those that hold what is seen of lookups."""
    return {
        "threads": max(_LEAST_THREADS, 4 * len(read_tids(pid))),
        "groups": GROUPS,
        "entry_counts": GROUPS,
        "lookup_stacks": GROUPS,
        "histograms": HISTOGRAMS,
    }


def _exits(stack: ExitStack, module: BpfModule) -> tuple[ThreadExits | None, tuple[str, ...]]:
    """Return what reports the ends of threads; else None, and the warning that says why."""
    reason = "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)"
    if thread_exits.definitions():
        try:
            exits = ThreadExits(module)
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            stack.callback(exits.close)
            return exits, ()
    return None, (f"ends of threads are not reported: {reason}",)
