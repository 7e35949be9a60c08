"""Gets everything ready to sample one target: loads the programs, fills the tables.

Nothing of the target is touched or measured yet when this is done. What it takes to measure lookups
comes behind, in lookups.py, while samples are being taken.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from profiler.errors import KernelError
from profiler.linux.bcc import Compilation, compile_programs
from profiler.linux.bpf import enable_program_statistics
from profiler.linux.cpus import online_cpus
from profiler.linux.module import BpfModule
from profiler.model.observed import WithoutTable
from profiler.probes.attach import VARIANTS, Variant
from profiler.process.procfs import Process, read_tids
from profiler.process.target import TargetProcess
from profiler.process.threads import present_threads, thread_births, thread_exits
from profiler.process.threads.present_threads import PresentThreads
from profiler.process.threads.thread_births import ThreadBirths, find_start_routine_offset
from profiler.process.threads.thread_exits import ThreadExits
from profiler.sampling.sampler import CpuSampler, ring_bytes
from profiler.sampling.sampling_programs import SOURCES, sampling_macros
from profiler.sampling.thread_starts import ThreadStarts
from profiler.unwind.beginnings import Beginnings
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
    starts: ThreadStarts
    warnings: tuple[str, ...]
    library: TableLibrary
    present: PresentThreads | None  # None: this kernel does not tell


def untold(_step: str) -> None:
    """Tell nobody what is being prepared."""


def prepare_sampling(
    stack: ExitStack,
    process: Process,
    target: TargetProcess,
    options: Options,
    compilation: Compilation,
    prepare: Callable[[str], None] = untold,
) -> SamplingSetup:
    """Load what samples; the stack unloads it. Raises ProfilerError or OSError."""
    library = TableLibrary()
    files = {id(code.file) for code in target.code.current if code.file is not None}
    prepare(f"reading call frames of {len(files):,} files")
    library.prepare(target.code.current)  # while the compiler runs
    sizes = {
        **library.map_sizes(),
        **_lookup_map_sizes(target.pid),
        "unwind_stacks": ring_bytes(options.frequency_hz, len(online_cpus())),
    }
    routine_at = find_start_routine_offset(target.code.current)
    numbers = {"TARGET_TGID": target.pid, "START_ROUTINE_OFFSET": routine_at or 0}
    if compilation.is_running:
        prepare("compiling programs for the kernel, once")
    programs = compilation.result()
    prepare("loading programs into the kernel")
    module = stack.enter_context(BpfModule(programs, numbers, sizes))
    # So early that a thread of which this is not known is older than what comes before the window.
    births = None if routine_at is None else _births(stack, module)
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
    present = _present_threads(module)
    starts = ThreadStarts(births, present, Beginnings(target, library, routine_at))
    warnings = (*_stopped(process), *missing)
    return SamplingSetup(
        module, sampler, tables, without_table, exits, starts, warnings, library, present
    )


def _stopped(process: Process) -> Iterator[str]:
    if process.stopped:
        yield (
            f"process {process.pid} was stopped, by a signal or a debugger, when this began: "
            f"kill -CONT {process.pid}"
        )


def _lookup_map_sizes(pid: int) -> dict[str, int]:
    """Return entries by map, of those that hold what is seen of lookups, and of threads."""
    threads = max(_LEAST_THREADS, 4 * len(read_tids(pid)))
    return {
        "threads": threads,
        "offcpu_waits": threads,
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


def _births(stack: ExitStack, module: BpfModule) -> ThreadBirths | None:
    """Return what reports the births of threads, None where this kernel does not have all of it."""
    if not (thread_exits.definitions() and thread_births.definitions()):
        return None
    try:
        births = ThreadBirths(module)
    except OSError:
        return None
    stack.callback(births.close)
    return births


def _present_threads(module: BpfModule) -> PresentThreads | None:
    """Return what reads which threads there are, None where this kernel does not have all of it."""
    needed = (
        thread_exits.definitions(),
        thread_births.definitions(),
        present_threads.definitions(),
    )
    if not all(needed):
        return None
    try:
        return PresentThreads(module)
    except OSError:
        return None
