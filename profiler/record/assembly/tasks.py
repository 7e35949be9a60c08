"""Tasks as they are recorded: with indexes of task processors and frames. Pure."""

from __future__ import annotations

from profiler.model.quantities import Window
from profiler.model.tasks import ObservedTasks, TaskGroup, Tasks
from profiler.record.assembly.stacks import StackIndex


def recorded_tasks(observed: ObservedTasks, window: Window, frames: StackIndex) -> Tasks:
    """Return what was seen of task processors in a recording's window."""
    indexes = {processor.name: index for index, processor in enumerate(observed.processors)}
    groups = (
        TaskGroup(
            processor=indexes[sums.key.processor],
            function=frames.frame(sums.key.function) if sums.key.function else None,
            # Inside the call: the return address may belong to the next function.
            push_site=frames.frame(sums.key.site - 1) if sums.key.site else None,
            pushed=sums.pushed,
            begun=sums.begun,
            wait_ns=sums.wait_ns,
            run_ns=sums.run_ns,
            waiting=sums.waiting,
            running=sums.running,
            longest_waiting_ns=sums.longest_waiting_ns,
        )
        for sums in observed.sums
    )
    return Tasks(
        windows=observed.windows,
        covered_ns=observed.covered_ns,
        covered_ratio=min(observed.covered_ns / max(window.duration_ns, 1), 1.0),
        processors=observed.processors,
        processor_count=observed.looks[-1].processors if observed.looks else None,
        groups=tuple(groups),
        threads=observed.threads,
        looks=observed.looks,
        accounting=observed.accounting,
        cost_ns=observed.cost_ns,
    )
