"""The programs that report tasks, and the probes that let them run."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import ExitStack

from profiler.asterisk.task_code import TaskCode
from profiler.binary.probe_sites import Site
from profiler.errors import KernelError
from profiler.linux import bpf
from profiler.linux.bcc import compile_programs
from profiler.linux.bpf import UprobeSite
from profiler.linux.module import BpfModule, Program
from profiler.linux.probe_keeper import Keeper
from profiler.linux.probe_link_kinds import ProbeLinkKind, probe_link_errno
from profiler.linux.probe_links import ProbeLink
from profiler.wire.tasks import CONTROL, TaskEvent, TaskState

_SOURCES = ("tasks.bpf.c",)
_PURPOSE = "tasks"
_ZERO = struct.pack("<I", 0)
_KINDS = (ProbeLinkKind.MULTI, ProbeLinkKind.SINGLE)


class TaskPrograms:
    """Loaded programs; raises KernelError or OSError where the kernel does not take them."""

    def __init__(self, stack: ExitStack, base: BpfModule, code: TaskCode, path: str) -> None:
        """`base`: the programs that sample the same target. `path`: of the file with the code."""
        self._path = path
        self._kind = _kind_here()
        self.module = base.extended(compile_programs(_SOURCES, code.definitions()))
        stack.callback(self.module.close)
        self._events = self.module.ring_buffer("task_events")
        self._stops = self.module.ring_buffer("task_stops")
        # In the order of placing: no task is seen to be pushed whose begin is not seen.
        self._probes: tuple[tuple[Program, Sequence[Site]], ...] = (
            (self._load("task_end"), (code.end,)),
            (self._load("task_begin"), (code.begin,)),
            (self._load("task_push"), code.pushes),
        )
        self._keeper = Keeper(program.descriptor for program, _ in self._probes)
        stack.callback(self._keeper.close)

    def _load(self, function: str) -> Program:
        return self.module.load(function, bpf.PROG_KPROBE, self._kind.attach_type)

    @property
    def wake_descriptor(self) -> int:
        """Becomes readable when an allowance is spent."""
        return self._stops.descriptor

    def attach(self, pid: int) -> None:
        """Place all probes, or none; raises OSError."""
        links: list[ProbeLink] = []
        for program, sites in self._probes:
            points = [UprobeSite(site.file_offset, 0) for site in sites]
            links += self._kind.probe_links(program.descriptor, self._path, points, pid, False)
        self._keeper.attach(_PURPOSE, links)

    def detach(self) -> None:
        """Take all probes away; returns when none of them is left."""
        self._keeper.detach(_PURPOSE)

    def control(self, admit_until_ns: int, allowance_ns: int, event_ns: int) -> None:
        """Tell the programs which pushes to report."""
        value = CONTROL.pack(admit_until_ns, allowance_ns, event_ns)
        self.module.map("task_control").set(_ZERO, value)

    def state(self) -> TaskState:
        """Return what the programs have counted."""
        value = self.module.map("task_state").get(_ZERO)
        return TaskState.decode(value) if value else TaskState()

    def run_time_ns(self) -> int:
        """Return the time that the programs took so far."""
        return sum(program.statistics().run_time_ns for program, _ in self._probes)

    def events(self) -> list[TaskEvent]:
        """Return what was reported since the last call."""
        self._stops.drain()
        return [TaskEvent.decode(record) for record in self._events.drain()]


def _kind_here() -> ProbeLinkKind:
    for kind in _KINDS:
        if not probe_link_errno(kind):
            return kind
    raise KernelError("this kernel has no probes for programs", "ebpf-prof doctor")
