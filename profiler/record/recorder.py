"""Records one target: samples, prepares lookups, runs windows, stops, drains, always detaches.

The only owner of that order. What comes out are addresses and counts; names come later.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from profiler.asterisk.find import FoundTarget
from profiler.background import Background
from profiler.errors import ProfilerError, TargetError
from profiler.linux.bcc import Compilation
from profiler.linux.open_files import raise_open_files_limit
from profiler.linux.priority import WithoutRealtime
from profiler.model import recording as rec
from profiler.model.observed import Observed
from profiler.names.session import NamingSession
from profiler.process.children import ChildProcesses
from profiler.process.descriptors import OpenDescriptors
from profiler.process.events import ProcessEvents
from profiler.process.mapping_events import MappingEvents
from profiler.process.procfs import is_running
from profiler.process.sockets.udp_sockets import LOOKED_AT, UdpSockets
from profiler.process.target import TargetProcess
from profiler.process.threads.thread_uses import ThreadUses
from profiler.record.assembly.recording import assemble
from profiler.record.assembly.warnings import short_walks
from profiler.record.preparation.run import Run
from profiler.record.preparation.sampling import Options, prepare_sampling, untold
from profiler.record.progress import Progress, Stop
from profiler.sampling.sample_cost import interrupt_cost_ns
from profiler.sampling.sampling_budget import SampleBudget
from profiler.windows.budget import Governor

_DRAIN_NS = 200_000_000
_SLOW_NS = 1_000_000_000
# Asterisk maps a module, looks at it, and maps it again.
_UNTIL_CODE_NS = 5_000_000
_AFTER_CODE_NS = 50_000_000  # and the kernel's tables are not written sooner again
_MOST_OVERDUE_NS = 200_000_000
_LEAST_LOOKUPS_NS = 2_000_000_000


def record(
    target: FoundTarget,
    options: Options,
    compilation: Compilation,
    stop: Stop,
    report: Callable[[Progress], None],
    prepare: Callable[[str], None],
) -> rec.Recording:
    """Record a target; raises ProfilerError. Probes are gone when this returns or raises.

    `compilation`: of the programs that sample, for these options. `prepare` is told each step until
    the recording has begun.
    """
    raise_open_files_limit()
    with ExitStack() as stack:
        run = begin(stack, target, options, compilation, prepare)
        if options.lookups:
            prepare("finding container lookups in Asterisk's code")
            begin_off_cpu(stack, run)
            begin_lookups(stack, run, target, options)
            begin_tasks(stack, run)
        stop.has_begun = True
        with WithoutRealtime():
            run_until_end(run, stop, report)
            if run.lookups is not None:
                run.lookups.finish()  # which gives back the priority that it found
        return finish(run, target, options)


def _require_running(process: TargetProcess) -> None:
    if not process.code.current or not is_running(process.pid, process.start_ticks):
        raise TargetError(f"process {process.pid} has ended", "pgrep -a asterisk")


def begin(
    stack: ExitStack,
    target: FoundTarget,
    options: Options,
    compilation: Compilation,
    prepare: Callable[[str], None] = untold,
) -> Run:
    """Load what samples, then begin to listen and to sample; the stack undoes it. ProfilerError."""
    process = TargetProcess.open(target.pid, target.process.stat.start_ticks)
    mappings = MappingEvents(process.pid)
    stack.callback(mappings.close)
    process.code.refresh()
    _require_running(process)
    setup = prepare_sampling(stack, target.process, process, options, compilation, prepare)
    _require_running(process)  # that took some time
    names = NamingSession(process, options.symbols)
    names.pin()
    sampler = setup.sampler
    stack.callback(sampler.detach)
    events = ProcessEvents(process.pid)
    stack.callback(events.close)
    uses = ThreadUses(process, setup.exits)
    sockets = UdpSockets(target.pid)
    stack.callback(sockets.close)
    starts = setup.starts
    starts.begin()  # first, so that also those are known that end as soon as recording begins
    governor = Governor(options.budget_ratio, time.monotonic_ns())
    start_ns = time.monotonic_ns()
    sampler.attach()
    uses.start()
    sampling = SampleBudget(
        sampler, governor, interrupt_cost_ns(), lambda: uses.cost_ns() + starts.cost_ns()
    )
    run = Run(
        setup=setup,
        sampler=sampler,
        events=events,
        mappings=mappings,
        uses=uses,
        starts=starts,
        sockets=sockets,
        children=ChildProcesses(target.pid),
        descriptors=OpenDescriptors(target.pid),
        process=process,
        names=names,
        without_table=setup.without_table,
        governor=governor,
        sampling=sampling,
        start_ns=start_ns,
        until_ns=start_ns + options.duration_ns,
        warnings=list(setup.warnings),
    )
    sockets.sample()
    return run


def begin_off_cpu(stack: ExitStack, run: Run) -> None:
    """Load what sees when threads do not run, if this kernel lets us; the stack undoes it."""
    # Imported here, while samples come in already.
    from profiler.record.preparation.off_cpu import prepare_off_cpu

    run.off_cpu, warnings = prepare_off_cpu(stack, run.setup, run.process, run.governor)
    run.warnings += warnings


def begin_lookups(stack: ExitStack, run: Run, target: FoundTarget, options: Options) -> None:
    """Load what measures lookups, while samples come in; the stack undoes it. ProfilerError.

    However long that took, lookups are measured for half of the duration, and the whole of a short
    one.
    """
    # Imported here, while samples come in already.
    from profiler.counting.lookups import LookupMeasurement
    from profiler.record.preparation.lookups import prepare_lookups

    begun_cpu_ns = run.process.clock.read_ns()
    try:
        setup = prepare_lookups(stack, run.setup.module, target.process, run.process, options)
        _require_running(run.process)
    except (ProfilerError, OSError):
        if is_running(run.process.pid, run.process.start_ticks):
            raise
        run.exited = True  # what was sampled until then may say why
        return
    run.lookup_setup = setup
    run.lookups = LookupMeasurement(
        setup.programs, setup.planner, setup.plan, run.process, setup.calibration, run.governor
    )
    run.lookups.cpu_begin_ns = begun_cpu_ns
    stack.callback(run.lookups.abort)
    run.warnings += setup.warnings
    least_ns = min(options.duration_ns, max(_LEAST_LOOKUPS_NS, options.duration_ns // 2))
    run.until_ns = max(run.until_ns, time.monotonic_ns() + least_ns)
    run.sampling.charge()  # before the first window is granted what samples left
    run.sampler.drain()
    _read_events(run)


def begin_tasks(stack: ExitStack, run: Run) -> None:
    """Load what sees task processors and links, as far as it can be; the stack undoes it."""
    # Imported here, while samples come in already.
    from profiler.record.preparation.links import begin_links
    from profiler.record.preparation.tasks import prepare_tasks

    if run.lookup_setup is not None:
        run.tasks, warnings = prepare_tasks(stack, run)
        run.warnings += warnings
        begin_links(stack, run)


def run_until_end(run: Run, stop: Stop, report: Callable[[Progress], None]) -> None:
    """Open windows, drain, and look at the target until its end, the duration's, or a stop."""
    end_ns = run.until_ns
    next_drain = next_slow = run.start_ns
    # What this run does not have is never due: nobody would move it on.
    next_lookup, next_off_cpu, next_task, next_link = (
        run.start_ns if part else end_ns
        for part in (run.lookups, run.off_cpu, run.tasks, run.links)
    )
    wakers = (run.lookups, run.tasks, run.links)
    while not run.exited:
        now = time.monotonic_ns()
        run.stopped_by = stop.reason or run.stopped_by
        if stop.reason is not None or now >= end_ns:
            break
        # The first look and the first report take long: no window is open before they are over.
        has_looked = next_slow > run.start_ns
        if run.lookups is not None and has_looked and now >= next_lookup:
            next_lookup = run.lookups.step(now)
            run.exited |= run.lookups.gone
        # Nothing slow while a window is open that soon has to be closed, unless it is long overdue.
        is_overdue = now >= min(next_drain, next_slow, run.code_due_ns) + _MOST_OVERDUE_NS
        is_brief = run.lookups is not None and run.lookups.is_brief and not is_overdue
        if now >= next_drain and not is_brief:
            next_drain = now + _DRAIN_NS
            _drain(run, report, now)
        if now >= next_slow and not is_brief:
            next_slow = now + _SLOW_NS
            _observe(run)
        if run.off_cpu is not None and now >= next_off_cpu and not is_brief:
            next_off_cpu = run.off_cpu.step(now)
        if run.tasks is not None and now >= next_task and not is_brief:
            next_task = run.tasks.step(now)
        if run.links is not None and now >= next_link and not is_brief:
            next_link = run.links.step(now)
        if now >= run.code_due_ns and not is_brief:
            _follow_code(run)
        due = (next_drain, next_slow, next_off_cpu, next_task, next_link, run.code_due_ns)
        wake = min(end_ns, next_lookup, now + _DRAIN_NS, *(() if is_brief else due))
        if _wait(run, wake):
            next_lookup, next_task, next_link = (now if part else end_ns for part in wakers)
    if run.exited:
        has_restarted = run.events.has_restarted()
        run.stopped_by = rec.TARGET_RESTART if has_restarted else rec.TARGET_EXIT


def _wait(run: Run, until_ns: int) -> bool:
    """Wait for events of the target; return whether a window has to be closed."""
    poll = select.poll()  # select() takes no descriptor beyond 1023
    poll.register(run.events.exit_descriptor, select.POLLIN)
    poll.register(run.mappings.descriptor, select.POLLIN)
    wakers = {one.wake_descriptor for one in (run.lookups, run.tasks, run.links) if one}
    for descriptor in wakers:
        poll.register(descriptor, select.POLLIN)
    while True:
        left_ns = max(until_ns - time.monotonic_ns(), 0)
        ready = {descriptor for descriptor, _ in poll.poll(left_ns / 1e6)}
        if wakers & ready:
            return True
        if left_ns and ready == {run.mappings.descriptor} and not _has_mapped(run):
            continue  # other processes did
        if ready:
            _read_events(run)
        return False


def _has_mapped(run: Run) -> bool:
    """Return whether the target mapped code since; if so, it will soon be read what."""
    if not run.mappings.has_mapped():
        return False
    soon_ns = max(time.monotonic_ns(), run.least_code_due_ns)
    run.code_due_ns = min(run.code_due_ns, soon_ns)
    return True


def _read_events(run: Run) -> None:
    """Take note of what happened to the process and its threads."""
    _has_mapped(run)
    if run.events.is_over():
        run.exited = True
    run.uses.observe()
    run.starts.observe()


def _drain(run: Run, report: Callable[[Progress], None], now_ns: int) -> None:
    run.sampling.charge()
    run.sampler.drain()
    if run.lookups is not None:
        run.lookups.containers.look()
    if run.off_cpu is not None:
        run.off_cpu.drain()
    run.followed.look(now_ns, run.governor, run.sockets, run.lookups)
    _read_events(run)
    elapsed = max(now_ns - run.start_ns, 1)
    report(
        Progress(
            elapsed,
            run.until_ns - run.start_ns,
            run.sampler.samples.seen,
            run.lookups.admitted if run.lookups else 0,
            run.governor.spent_ns / elapsed,
        )
    )


def _observe(run: Run) -> None:
    """What is looked at once a second."""
    run.sockets.sample(LOOKED_AT)
    run.children.sample()
    run.descriptors.sample()
    run.sampler.follow_cpus()
    run.mappings.follow_cpus()
    for measured in (run.off_cpu, run.tasks):
        if measured is not None:
            measured.look(time.monotonic_ns())


def _follow_code(run: Run) -> None:
    """Let the kernel unwind through what the target has mapped by now."""
    pause_ns = _UNTIL_CODE_NS
    try:
        if run.process.code.refresh():
            run.without_table = run.setup.tables.update(run.process.code.current)
            run.names.pin()  # it may be gone again when names are looked up
            pause_ns = _AFTER_CODE_NS
    except TargetError:
        run.exited = True
    now_ns = time.monotonic_ns()
    run.code_due_ns, run.least_code_due_ns = now_ns + _SLOW_NS, now_ns + pause_ns


def finish(run: Run, target: FoundTarget, options: Options) -> rec.Recording:
    """Stop everything, and return what was recorded."""
    if options.kernel_frames:
        run.names.begin_with_kernel()
    return assemble(target, options, run.started_at, _collect(run), run.names)


def _read_last(process: TargetProcess, events: ProcessEvents) -> None:
    """Read what was mapped since the last look, so that it has names too; nothing after exec."""
    with suppress(TargetError):
        if events.is_over():
            process.memory.give_up()
        else:
            process.code.refresh()


def _collect(run: Run) -> Observed:
    """Stop everything and read what was counted.

    The window ends when the probes are gone, which may take as long as a lookup in flight; samples
    and CPU time end there too, so that they can be compared.
    """
    if run.lookups is not None:
        run.lookups.finish()
    off_cpu = None if run.off_cpu is None else run.off_cpu.finish(time.monotonic_ns())
    tasks = None if run.tasks is None else run.tasks.finish()
    links = None if run.links is None else run.links.finish()
    run.end_ns = time.monotonic_ns()
    run.uses.stop()
    run.sampler.detach()
    run.children.sample()
    run.descriptors.count()
    account = Background(run.uses.account)  # which waits for the kernel
    _read_last(run.process, run.events)
    starts = run.starts.end()
    lookups = None
    if run.lookups is not None and run.lookup_setup is not None:
        from profiler.record.collection.collect import collect_lookups

        lookups = collect_lookups(run.lookups, run.lookup_setup.planner, run.process)
    run.sampler.drain()
    run.sockets.sample()
    run.followed.look(run.end_ns, run.governor, run.sockets, run.lookups)
    sockets = run.sockets.recorded()
    problems = (
        run.sampler.warning,
        run.sampling.warning,
        run.sockets.warning,
        run.lookups.problem if run.lookups is not None else None,
        *(one.problem for one in (off_cpu, tasks, links) if one is not None),
        short_walks(run.lookup_setup.programs if run.lookup_setup else None, lookups),
    )
    run.warnings += [problem for problem in problems if problem]
    return Observed(
        window=rec.Window(run.start_ns, run.end_ns),
        stopped_by=run.stopped_by,
        exited=run.exited,
        samples=tuple(run.sampler.samples.kept),
        sampled_one_in=run.sampler.samples.one_in,
        sample_accounting=run.sampler.accounting(),
        stacks=run.sampler.stacks,
        account=account.result(),
        sockets=sockets,
        lookups=lookups,
        calibration=run.lookup_setup.calibration if run.lookup_setup else None,
        sampling_cost_ns=run.sampling.cost_ns(),
        lookup_cost_ns=run.governor.spent_ns - run.sampling.charged_ns,
        without_table=run.without_table,
        warnings=tuple(run.warnings),
        children=run.children.recorded(),
        descriptors=run.descriptors.recorded(),
        lost_ends=run.uses.lost_ends(),
        thread_starts=starts,
        followed=run.followed.observed(),
        off_cpu=off_cpu,
        tasks=tasks,
        links=links,
    )
