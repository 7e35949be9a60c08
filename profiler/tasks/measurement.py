"""Task processors of one run: tasks in windows, and queues looked at from outside."""

from __future__ import annotations

from contextlib import ExitStack

from profiler.asterisk.task_code import TaskCode
from profiler.linux.module import BpfModule
from profiler.model.observed import Calibration
from profiler.model.quantities import Distribution
from profiler.model.tasks import ObservedTasks, TaskProcessor
from profiler.probes.attach import AttachPoint
from profiler.probes.planner import PlannedProbe, path_of
from profiler.process.mappings import LoadedCode
from profiler.process.target import TargetProcess
from profiler.tasks.programs import TaskPrograms
from profiler.tasks.queues import NO_QUEUE, QueueLooks
from profiler.tasks.seen_tasks import SeenTasks
from profiler.tasks.windows import TaskWindows
from profiler.windows.budget import Governor

_NOTHING = Distribution(0, 0, None, ())


class TaskMeasurement:
    """What the recorder calls; raises KernelError or OSError where programs cannot be loaded."""

    def __init__(
        self,
        stack: ExitStack,
        base: BpfModule,
        loaded: LoadedCode,
        code: TaskCode,
        variable: int | None,
        target: TargetProcess,
        governor: Governor,
        calibration: Calibration,
    ) -> None:
        self.probes = _planned(loaded, code)
        self._programs = TaskPrograms(stack, base, code, path_of(loaded))
        self._queues = QueueLooks(target, code, variable)
        self._seen = SeenTasks()
        self._windows = TaskWindows(self._programs, target, governor, calibration, self._seen)
        stack.callback(self._windows.abort)

    @property
    def wake_descriptor(self) -> int:
        """Becomes readable when a window has to be closed: call step() then."""
        return self._programs.wake_descriptor

    @property
    def is_open(self) -> bool:
        """Return whether tasks that are pushed now are seen."""
        return self._windows.is_open

    def step(self, now_ns: int) -> int:
        """Open or close the window if it is time; return when to call again, CLOCK_MONOTONIC."""
        return self._windows.step(now_ns)

    def look(self, now_ns: int) -> None:
        """Look at the queues."""
        self._queues.look(now_ns)

    def finish(self) -> ObservedTasks:
        """Take the probes away; return what was seen."""
        self._windows.finish()
        state = self._programs.state()
        return ObservedTasks(
            sums=self._seen.sums(),
            processors=self._processors(),
            threads=self._seen.threads(),
            looks=self._queues.looks(),
            windows=tuple(self._windows.windows),
            covered_ns=self._windows.covered_ns,
            accounting=self._seen.accounting(state.refused, state.lost),
            cost_ns=self._windows.cost_ns,
            problem=self._windows.problem,
        )

    def _processors(self) -> tuple[TaskProcessor, ...]:
        """Return all that had a task in a window, or in their queue at a look."""
        lengths, queues = self._seen.lengths(), self._queues.queues()
        names = sorted({sums.key.processor for sums in self._seen.sums()} | queues.keys())
        return tuple(
            TaskProcessor(
                name=name,
                pushed_lengths=lengths.get(name, _NOTHING),
                looks=queues.get(name, NO_QUEUE).looks,
                queue_lengths=queues.get(name, NO_QUEUE).lengths,
            )
            for name in names
        )


def _planned(loaded: LoadedCode, code: TaskCode) -> tuple[PlannedProbe, ...]:
    """Return the probes as those of lookups are, for what has to know of all of them."""
    return tuple(
        PlannedProbe(
            site,
            AttachPoint(
                path_of(loaded), site.file_offset, site.vaddr + (loaded.bias or 0), 0, False
            ),
            frozenset(),
        )
        for site in (*code.pushes, code.begin, code.end)
    )
