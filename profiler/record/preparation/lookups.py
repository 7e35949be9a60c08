"""Gets everything ready to measure lookups: plans the probes, loads the programs, calibrates."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from profiler import disk_cache
from profiler.errors import ProbeError
from profiler.linux.module import BpfModule
from profiler.model.observed import Calibration
from profiler.probes.attach import UprobePrograms, load_programs
from profiler.probes.planner import ProbePlan, ProbePlanner
from profiler.probes.push_sites import report_push_sites
from profiler.probes.seccomp import returns_are_safe
from profiler.probes.trap_cost import ASSUMED_COST, calibrate
from profiler.process.procfs import Process
from profiler.process.target import TargetProcess
from profiler.record.preparation.sampling import Options

_COST_IS_ASSUMED = (
    "the cost of probes is assumed: what a trap takes could not be measured here, so "
    f"{ASSUMED_COST.trap_ns / 1_000:.1f} us were charged, "
    f"{ASSUMED_COST.stepped_trap_ns / 1_000:.0f} where the kernel single-steps, "
    f"{ASSUMED_COST.return_trap_ns / 1_000:.0f} for a return"
)


@dataclass(frozen=True, slots=True)
class LookupSetup:
    """What is in the kernel once probes can be placed."""

    programs: UprobePrograms
    plan: ProbePlan
    planner: ProbePlanner
    calibration: Calibration
    warnings: tuple[str, ...]


def prepare_lookups(
    stack: ExitStack, base: BpfModule, process: Process, target: TargetProcess, options: Options
) -> LookupSetup:
    """Load what measures lookups beside what samples; the stack unloads it.

    Raises ProfilerError or OSError.
    """
    planner = ProbePlanner(target.code)
    plan = _plan(planner, options)
    programs, plan = _load(base, plan, process, options)
    stack.callback(programs.close)
    programs.module.map("traversal_code").set(bytes(4), plan.traversal_code().encode())
    measured = _calibration(programs, plan)
    report_push_sites(base, plan.probes)
    return LookupSetup(
        programs,
        plan,
        planner,
        measured or ASSUMED_COST,
        (*plan.warnings, *programs.rejected, *(() if measured else (_COST_IS_ASSUMED,))),
    )


def _plan(planner: ProbePlanner, options: Options) -> ProbePlan:
    try:
        return planner.plan(options.verify)
    except ProbeError as error:
        hint = error.hint or "ebpf-prof asterisk --cpu-only"
        raise ProbeError(error.message, hint) from error


def _load(
    base: BpfModule, plan: ProbePlan, process: Process, options: Options
) -> tuple[UprobePrograms, ProbePlan]:
    """Load the programs of a plan, or of what can be had of it without return probes."""
    programs = load_programs(base, plan.definitions(), options.variants)
    try:
        if returns_are_safe(process.seccomp_mode, programs.link_idle):
            return programs, plan
    except BaseException:
        programs.close()
        raise
    programs.close()
    plan = plan.without_returns()
    return load_programs(base, plan.definitions(), options.variants), plan


def _calibration(programs: UprobePrograms, plan: ProbePlan) -> Calibration | None:
    """Return what a trap costs in this boot; None where that cannot be known."""

    def measure() -> list[int] | None:
        made = calibrate(programs.link_idle, plan.returns)
        return [made.trap_ns, made.stepped_trap_ns, made.return_trap_ns] if made else None

    links = programs.variant.links.value
    found = disk_cache.for_this_boot(f"trap cost {links} {plan.returns}", measure)
    return Calibration(*found) if found else None
