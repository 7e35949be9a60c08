"""Loads the programs for one target: plans the probes, compiles, fills the tables, calibrates.

Nothing of the target is touched or measured yet when this is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

from profiler.asterisk.find import FoundTarget
from profiler.errors import ProbeError
from profiler.linux.bcc import BpfModule
from profiler.linux.bpf import enable_program_statistics
from profiler.measure.sample_cost import calibrate_interrupt
from profiler.measure.sampler import register_definitions
from profiler.model.observed import Calibration, WithoutTable
from profiler.probes.attach import VARIANTS, UprobePrograms, Variant, load_programs
from profiler.probes.planner import ProbePlan, ProbePlanner
from profiler.probes.push_sites import report_push_sites
from profiler.probes.seccomp import returns_are_safe
from profiler.probes.trap_cost import ASSUMED_COST, calibrate
from profiler.process import thread_exits
from profiler.process.procfs import Process, read_tids
from profiler.process.target import TargetProcess
from profiler.process.thread_exits import ThreadExits
from profiler.unwind.kernel_tables import TableLibrary, UnwindTables

GROUPS = 16_384
HISTOGRAMS = 262_144
_LEAST_THREADS = 1_024
_COST_IS_ASSUMED = (
    "the cost of probes is assumed: what a trap takes could not be measured here, so "
    f"{ASSUMED_COST.trap_ns / 1_000:.1f} us were charged, "
    f"{ASSUMED_COST.stepped_trap_ns / 1_000:.0f} where the kernel single-steps, "
    f"{ASSUMED_COST.return_trap_ns / 1_000:.0f} for a return"
)


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
class Loaded:
    """What is in the kernel now; programs, plan and calibration are None without lookups."""

    module: BpfModule
    programs: UprobePrograms | None
    plan: ProbePlan | None
    planner: ProbePlanner
    tables: UnwindTables
    without_table: WithoutTable
    calibration: Calibration | None
    interrupt_ns: int | None  # of one sample; None: it could not be measured
    exits: ThreadExits | None  # None: this kernel does not report so much
    warnings: tuple[str, ...]


def load(stack: ExitStack, found: FoundTarget, target: TargetProcess, options: Options) -> Loaded:
    """Load all that the options ask for; the stack unloads it. Raises ProfilerError."""
    interrupt_ns = calibrate_interrupt()
    library = TableLibrary()
    library.prepare(target.code.current)
    planner = ProbePlanner(target.code)
    plan = _plan(planner, options) if options.lookups else None
    definitions = {**library.definitions(), **_definitions(target.pid, options)}
    programs = None
    if plan is not None:
        programs, plan = _load_lookups(plan, definitions, found, options)
    module = programs.module if programs else BpfModule(("cpu.bpf.c", "exits.bpf.c"), definitions)
    stack.callback(programs.close if programs else module.close)
    tables = UnwindTables(module, library)
    without_table = tables.update(target.code.current)
    stack.callback(os.close, enable_program_statistics())
    calibration = measured_cost = None
    if programs is not None and plan is not None:
        measured_cost = calibrate(programs.link_idle, plan.returns)
        calibration = measured_cost or ASSUMED_COST
        report_push_sites(module, plan.probes)
    exits, missing = _exits(stack, module)
    return Loaded(
        module=module,
        programs=programs,
        plan=plan,
        planner=planner,
        tables=tables,
        without_table=without_table,
        calibration=calibration,
        interrupt_ns=interrupt_ns,
        exits=exits,
        warnings=(
            *_stopped(found.process),
            *(plan.warnings if plan else ()),
            *(programs.rejected if programs else ()),
            *([_COST_IS_ASSUMED] if calibration and not measured_cost else ()),
            *missing,
        ),
    )


def _stopped(process: Process) -> Iterator[str]:
    if process.stopped:
        yield (
            f"process {process.pid} was stopped, by a signal or a debugger, when this began: "
            f"kill -CONT {process.pid}"
        )


def _definitions(pid: int, options: Options) -> dict[str, int]:
    """Return the C macros that do not depend on the target's code."""
    return {
        "TARGET_TGID": pid,
        "CPU_KERNEL_FRAMES": int(options.kernel_frames),
        **register_definitions(),
        "THREADS": max(_LEAST_THREADS, 4 * len(read_tids(pid))),
        "GROUPS": GROUPS,
        "HISTOGRAMS": HISTOGRAMS,
        **thread_exits.definitions(),
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


def _plan(planner: ProbePlanner, options: Options) -> ProbePlan:
    try:
        return planner.plan(options.verify)
    except ProbeError as error:
        hint = error.hint or "ebpf-prof asterisk --cpu-only"
        raise ProbeError(error.message, hint) from error


def _load_lookups(
    plan: ProbePlan, definitions: dict[str, int], target: FoundTarget, options: Options
) -> tuple[UprobePrograms, ProbePlan]:
    """Load the programs of a plan, or of what can be had of it without return probes."""
    programs = load_programs({**definitions, **plan.definitions()}, options.variants)
    if returns_are_safe(target.process.seccomp_mode, programs.link_idle):
        return programs, plan
    programs.close()
    plan = plan.without_returns()
    return load_programs({**definitions, **plan.definitions()}, options.variants), plan
