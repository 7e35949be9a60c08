"""Makes a recording of what was observed: indexes everything, names addresses, adds up windows."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

from profiler import __version__
from profiler.asterisk.find import FoundTarget
from profiler.model import recording as rec
from profiler.model.observed import Observed, ObservedLookups
from profiler.names.session import NamingSession
from profiler.record.assembly.call_sites import CallSites
from profiler.record.assembly.host import read_host
from profiler.record.assembly.links import recorded_links
from profiler.record.assembly.lookup_groups import LookupGroups
from profiler.record.assembly.losses import LOST, loss_warnings
from profiler.record.assembly.off_cpu import recorded_off_cpu
from profiler.record.assembly.operations import SampledOperations
from profiler.record.assembly.stacks import StackIndex
from profiler.record.assembly.tasks import recorded_tasks
from profiler.record.assembly.time_line import time_line
from profiler.record.assembly.warnings import run_warnings
from profiler.record.preparation.sampling import Options
from profiler.wire.lookups import LookupCounter


def assemble(
    target: FoundTarget,
    options: Options,
    started_at: str,
    observed: Observed,
    names: NamingSession,
) -> rec.Recording:
    """Return the recording of a run."""
    frames = StackIndex(
        observed.stacks,
        names.path,
        names.kernel_function,
        options.kernel_frames,
        options.user_frames,
    )
    if observed.lookups is not None:
        frames.behind_probes = observed.lookups.behind_probes
    samples = []
    for time_ns, key, tid in observed.samples:
        stack = frames.stack(key)
        if stack is not None:
            samples.append(rec.Sample(time_ns, tid, stack))
    threads = tuple(_with_start(use, observed, frames, names) for use in observed.account.threads)
    names.pin()
    sites = CallSites(names, observed.lookups)
    operations = SampledOperations(samples, frames, sites, names) if options.user_frames else None
    lookups = None
    if observed.lookups is not None:
        times = operations.sample_times if operations else lambda _: ()
        period_ns = observed.sampled_one_in * 1e9 / options.frequency_hz
        lookups = LookupGroups(observed.lookups, frames, sites, times, period_ns)
    waits = None
    if observed.off_cpu is not None:
        waits = recorded_off_cpu(observed.off_cpu, observed.stacks, observed.window, frames, names)
    tasks = recorded_tasks(observed.tasks, observed.window, frames) if observed.tasks else None
    links = None
    if observed.links is not None and lookups is not None:
        links = recorded_links(observed.links, lookups.container_indexes, frames)
    named, files = names.frames(frames.addresses), names.files()
    return rec.Recording(
        schema=rec.SCHEMA,
        tool_version=__version__,
        command=options.command,
        started_at=started_at,
        target=replace(
            target.recorded(observed.exited), system=names.system(target.process.exe or "")
        ),
        window=observed.window,
        stopped_by=observed.stopped_by,
        frequency_hz=options.frequency_hz / observed.sampled_one_in,
        files=files,
        frames=named,
        stacks=tuple(frames.stacks),
        samples=tuple(sorted(samples, key=lambda sample: sample.time_ns)),
        sample_accounting=observed.sample_accounting,
        threads=threads,
        sockets=observed.sockets,
        containers=lookups.containers if lookups else (),
        call_sites=sites.sites,
        lookups=lookups.groups if lookups else (),
        lookup_stacks=lookups.stacks if lookups else (),
        lookup_accounting=_lookup_accounting(observed.lookups),
        probe_windows=tuple(w.window for w in observed.lookups.windows) if observed.lookups else (),
        probes=observed.lookups.probes if observed.lookups else (),
        cost=_cost(observed, options.budget_ratio),
        warnings=(
            *loss_warnings(observed),
            *observed.warnings,
            *run_warnings(
                observed,
                options.frequency_hz,
                options.budget_ratio,
                {stack.cause for stack in frames.stacks},
                frames.ended_in,
                {files[frame.file].path for frame in named if frame.file is not None},
            ),
            *names.problems(),
        ),
        operations=operations.recorded if operations else None,
        children=observed.children,
        descriptors=observed.descriptors,
        host=read_host(started_at),
        cpu_ns=observed.account.process_cpu_ns,
        time_line=time_line(
            observed.followed,
            observed.window,
            observed.lookups.counting if observed.lookups else (),
            lookups.container_indexes if lookups else {},
            lookups.groups if lookups else (),
        ),
        off_cpu=waits,
        tasks=tasks,
        links=links,
    )


def _with_start(
    use: rec.ThreadUse, observed: Observed, frames: StackIndex, names: NamingSession
) -> rec.ThreadUse:
    """Return a thread with the frames that it began in: as far as they are code."""
    addresses = observed.thread_starts.get(use.tid, ())
    code = takewhile(lambda address: names.path(address) is not None, addresses)
    return replace(use, start=tuple(map(frames.frame, code)))


def _cost(observed: Observed, budget_ratio: float | None) -> rec.Cost:
    calibration = observed.calibration
    return rec.Cost(
        budget_ratio=budget_ratio,
        sampling_ns=observed.sampling_cost_ns,
        lookups_ns=observed.lookup_cost_ns,
        trap_ns=calibration.trap_ns if calibration else 0,
        stepped_trap_ns=calibration.stepped_trap_ns if calibration else 0,
    )


def _lookup_accounting(lookups: ObservedLookups | None) -> rec.Accounting:
    if lookups is None:
        return rec.Accounting()
    counters = lookups.counters
    return rec.Accounting(
        fired=counters[LookupCounter.FIRED],
        kept=counters[LookupCounter.KEPT],
        filtered=counters[LookupCounter.INNER] + counters[LookupCounter.BARE],
        lost=sum(counters[counter] for counter in LOST),
        collided=0,
        truncated=counters[LookupCounter.TRUNCATED],
    )
