"""Records which objects of one target live on: prepares, follows, stops, always detaches."""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from profiler import disk_cache
from profiler.asterisk.find import FoundTarget
from profiler.errors import TargetError
from profiler.leaks.measurement import ObjectMeasurement
from profiler.leaks.plan import ObjectPlan, plan_objects
from profiler.leaks.programs import ObjectPrograms, load_object_programs
from profiler.linux.bpf import enable_program_statistics
from profiler.linux.open_files import raise_open_files_limit
from profiler.linux.priority import WithoutRealtime
from profiler.model.leaks import LeaksRecording
from profiler.model.observed import Calibration
from profiler.model.recording import TARGET_EXIT, TARGET_RESTART, Window
from profiler.names.session import NamingSession
from profiler.probes.attach import VARIANTS, Variant
from profiler.probes.planner import ProbePlanner
from profiler.probes.seccomp import returns_are_safe
from profiler.probes.trap_cost import ASSUMED_COST, calibrate
from profiler.process.events import ProcessEvents
from profiler.process.procfs import is_running, read_tids
from profiler.process.target import TargetProcess
from profiler.record.assembly.leaks import LeaksRun, assemble_leaks
from profiler.record.progress import Progress, Stop
from profiler.unwind.kernel_tables import TableLibrary, UnwindTables
from profiler.windows.budget import DEPTH_RATIO, PLANNED_RATIO, Governor

_FOLLOWED = 16_384  # objects that live at the same time
_LEAST_THREADS = 1_024
_STACKS_BYTES = 1 << 22
# A second in which eight threads change what is followed as fast as they can, with long histories.
_EVENTS_BYTES = 1 << 25
_REPORT_NS = 200_000_000
_CODE_NS = 5_000_000_000
# What may be saved for one stretch is the budget of a part of the run: few long stretches show more
# of a history than many short ones.
_STRETCHES = 8
_HORIZON_NS = (2_000_000_000, 30_000_000_000)
_COST_IS_ASSUMED = "the cost of probes is assumed: what a trap takes could not be measured here"
_UNSEEN_ENDS = (
    "where objects are destroyed was not found in the code: their ends are known to a second"
)


@dataclass(frozen=True, slots=True)
class LeaksOptions:
    """What to record; durations in nanoseconds."""

    duration_ns: int
    budget_ratio: float | None = 0.01
    command: tuple[str, ...] = ()
    symbols: str | None = None
    variants: tuple[Variant, ...] = VARIANTS
    show_keys: bool = False  # names of objects as they are


@dataclass(frozen=True, slots=True)
class _Setup:
    """What is in the kernel once objects can be followed."""

    process: TargetProcess
    plan: ObjectPlan
    programs: ObjectPrograms
    tables: UnwindTables
    calibration: Calibration
    names: NamingSession
    events: ProcessEvents
    warnings: tuple[str, ...]


def record_leaks(
    target: FoundTarget,
    options: LeaksOptions,
    stop: Stop,
    report: Callable[[Progress], None],
    prepare: Callable[[str], None],
) -> LeaksRecording:
    """Record a target; raises ProfilerError. Probes are gone when this returns or raises."""
    raise_open_files_limit()
    with ExitStack() as stack:
        setup = _prepare(stack, target, options, prepare)
        started_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        start_ns = time.monotonic_ns()
        governor = _governor(options, start_ns)
        measurement = ObjectMeasurement(
            setup.programs,
            setup.plan,
            setup.process,
            setup.calibration,
            governor,
            start_ns + options.duration_ns,
        )
        stack.callback(measurement.abort)
        stop.has_begun = True
        with WithoutRealtime():
            stopped_by = _follow(setup, measurement, governor, options, stop, report)
            exited = stopped_by in (TARGET_EXIT, TARGET_RESTART)
            if exited:
                setup.process.memory.give_up()
                measurement.give_up_alive(time.monotonic_ns())
            measurement.finish()
        run = LeaksRun(
            command=options.command,
            started_at=started_at,
            window=Window(start_ns, time.monotonic_ns()),
            stopped_by=stopped_by,
            exited=exited,
            budget_ratio=options.budget_ratio,
            spent_ns=governor.spent_ns,
            plan=setup.plan,
            calibration=setup.calibration,
            warnings=setup.warnings,
            show_keys=options.show_keys,
        )
        return assemble_leaks(target, run, measurement, setup.names)


def _governor(options: LeaksOptions, start_ns: int) -> Governor:
    """Return what keeps the budget. Nothing is measured beside, so that share is there, too."""
    ratio = options.budget_ratio
    if ratio is None:
        return Governor(None, start_ns)
    ratio /= PLANNED_RATIO + DEPTH_RATIO
    shortest, longest = _HORIZON_NS
    horizon_ns = min(max(options.duration_ns / _STRETCHES, shortest), longest)
    return Governor(ratio, start_ns, least_depth_ns=DEPTH_RATIO * ratio * horizon_ns)


def _prepare(
    stack: ExitStack,
    target: FoundTarget,
    options: LeaksOptions,
    prepare: Callable[[str], None],
) -> _Setup:
    process = TargetProcess.open(target.pid, target.process.stat.start_ticks)
    process.code.refresh()
    if not process.code.current or not is_running(process.pid, process.start_ticks):
        raise TargetError(f"process {process.pid} has ended", "pgrep -a asterisk")
    events = ProcessEvents(process.pid)
    stack.callback(events.close)
    prepare("reading Asterisk's code")
    plan = plan_objects(ProbePlanner(process.code))
    library = TableLibrary()
    library.prepare(process.code.current)
    prepare("loading programs into the kernel")
    sizes = {
        **library.map_sizes(),
        "unwind_stacks": _STACKS_BYTES,
        "object_events": _EVENTS_BYTES,
        "followed_objects": _FOLLOWED,
        "object_threads": max(_LEAST_THREADS, 4 * len(read_tids(process.pid))),
    }
    numbers = {"TARGET_TGID": process.pid, "START_ROUTINE_OFFSET": 0}
    programs = load_object_programs(numbers, sizes, options.variants)
    stack.callback(programs.close)
    if not returns_are_safe(target.process.seccomp_mode, programs.link_idle):
        raise TargetError(
            "the target's system calls are filtered: what it allocates cannot be seen",
            "ebpf-prof asterisk",
        )
    tables = UnwindTables(programs.module, library)
    tables.update(process.code.current)
    stack.callback(os.close, enable_program_statistics())
    names = NamingSession(process, options.symbols)
    names.pin()
    measured = _calibration(programs)
    warnings = [] if plan.frees else [_UNSEEN_ENDS]
    if measured is None:
        warnings.append(_COST_IS_ASSUMED)
    calibration = measured or ASSUMED_COST
    return _Setup(process, plan, programs, tables, calibration, names, events, tuple(warnings))


def _calibration(programs: ObjectPrograms) -> Calibration | None:
    def measure() -> list[int] | None:
        made = calibrate(programs.link_idle)
        return [made.trap_ns, made.stepped_trap_ns, made.return_trap_ns] if made else None

    links = programs.variant.links.value
    found = disk_cache.for_this_boot(f"trap cost {links} True", measure)
    return Calibration(*found) if found else None


def _follow(
    setup: _Setup,
    measurement: ObjectMeasurement,
    governor: Governor,
    options: LeaksOptions,
    stop: Stop,
    report: Callable[[Progress], None],
) -> str:
    """Follow objects until something ends it; return what did."""
    start_ns = time.monotonic_ns()
    until_ns = start_ns + options.duration_ns
    next_report_ns = next_code_ns = start_ns
    poll = select.poll()
    poll.register(setup.events.exit_descriptor, select.POLLIN)
    poll.register(measurement.wake_descriptor, select.POLLIN)
    while (now_ns := time.monotonic_ns()) < until_ns:
        if stop.reason is not None:
            return stop.reason
        if setup.events.is_over():
            return TARGET_RESTART if setup.events.has_restarted() else TARGET_EXIT
        next_ns = min(measurement.step(now_ns), until_ns)
        if now_ns >= next_code_ns:
            next_code_ns = now_ns + _CODE_NS
            _follow_code(setup)
        if now_ns >= next_report_ns:
            next_report_ns = now_ns + _REPORT_NS
            elapsed_ns = max(now_ns - start_ns, 1)
            followed = len(measurement.histories.objects)
            spent_ratio = governor.spent_ns / elapsed_ns
            report(Progress(elapsed_ns, options.duration_ns, 0, 0, spent_ratio, followed))
        poll.poll(max(next_ns - time.monotonic_ns(), 0) / 1e6)
    return "duration"


def _follow_code(setup: _Setup) -> None:
    """Let the kernel unwind through what the target has mapped by now."""
    with suppress(TargetError):
        if setup.process.code.refresh():
            setup.tables.update(setup.process.code.current)
            setup.names.pin()
