"""The programs that follow objects, and the links that let them run."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from profiler.errors import KernelError
from profiler.leaks.plan import ObjectProbe
from profiler.linux import bpf
from profiler.linux.bcc import compile_programs
from profiler.linux.bpf import UprobeSite, VerifierError
from profiler.linux.module import BpfModule, Program
from profiler.linux.probe_keeper import Keeper
from profiler.linux.probe_link_kinds import ProbeLinkKind
from profiler.linux.probe_links import ProbeLink
from profiler.probes.attach import VARIANTS, AttachPoint, Variant
from profiler.wire.leaks import ObjectWatch

SOURCES = ("leaks.bpf.c",)


class ObjectPrograms:
    """Loaded programs; probes are placed and taken away for each kind of stretch by itself."""

    def __init__(self, module: BpfModule, variant: Variant) -> None:
        self.module = module
        self.variant = variant
        attach = variant.links.attach_type
        unwind = module.load("object_unwind", bpf.PROG_KPROBE, attach)
        module.set_tail_call("object_programs", 0, unwind)
        self._entry = self._load("object_entry")
        self._return = self._load("object_return")
        self._freed = self._load("object_freed")
        self._idle = self._load("calibrate_return")
        held = (self._entry, self._return, self._freed)
        self._keeper = Keeper(program.descriptor for program in held)

    def _load(self, name: str) -> Program:
        return self.module.load(name, bpf.PROG_KPROBE, self.variant.links.attach_type)

    def run_time_ns(self, watch: ObjectWatch) -> int:
        """Return what the programs of one kind of stretch took so far."""
        if watch is ObjectWatch.FREES:
            return self._freed.statistics().run_time_ns
        programs = (self._entry, self._return)
        return sum(program.statistics().run_time_ns for program in programs)

    def attach(self, watch: ObjectWatch, probes: Sequence[ObjectProbe], pid: int) -> None:
        """Place the probes of one kind; on failure none stays. Raises OSError."""
        points = [probe.point for probe in probes]
        if self.variant.links is ProbeLinkKind.SINGLE:
            cookies = self.module.map("cookies")
            for point in points:
                cookies.set(struct.pack("<Q", point.address), struct.pack("<Q", point.cookie))
        links: list[ProbeLink] = []
        for is_busy in (False, True):  # busy sites last: see AttachPoint
            here = [point for point in points if point.is_busy is is_busy]
            links += self._links(watch, here, pid) if here else []
        self._keeper.attach(watch.name, links)

    def detach(self, watch: ObjectWatch) -> None:
        """Take the probes of one kind away; returns when none of them is left."""
        self._keeper.detach(watch.name)

    def _links(
        self, watch: ObjectWatch, points: Sequence[AttachPoint], pid: int
    ) -> list[ProbeLink]:
        program = self._freed if watch is ObjectWatch.FREES else self._entry
        returns = [point for point in points if point.with_return]
        links = self._probe_links(program, points, pid, is_return=False)
        if returns:
            links = self._probe_links(self._return, returns, pid, is_return=True) + links
        return links

    def _probe_links(
        self, program: Program, points: Sequence[AttachPoint], pid: int, is_return: bool
    ) -> list[ProbeLink]:
        sites = [UprobeSite(point.file_offset, point.cookie) for point in points]
        path = points[0].path  # all are in the executable
        return self.variant.links.probe_links(program.descriptor, path, sites, pid, is_return)

    def link_idle(
        self, path: str, file_offset: int, with_return: bool, pid: int | None = None
    ) -> list[int]:
        """Attach a program that does nothing to a site of a process of ours, for a trial."""
        idle = self._idle.descriptor
        return self.variant.links.link_idle(idle, path, file_offset, with_return, pid)

    def close(self) -> None:
        """Take all probes away, and give up the programs and their maps."""
        self._keeper.close()
        self.module.close()


def load_object_programs(
    numbers: dict[str, int], sizes: dict[str, int], variants: Sequence[Variant] = VARIANTS
) -> ObjectPrograms:
    """Compile and load in the first way that this kernel accepts; raises KernelError or OSError."""
    failures: list[str] = []
    for variant in variants:
        if lacking := variant.why_not_here():
            failures.append(f"{variant.links.value}: {lacking}")
            continue
        module = BpfModule(compile_programs(SOURCES, variant.definitions()), numbers, sizes)
        try:
            return ObjectPrograms(module, variant)
        except VerifierError as error:
            module.close()
            failures.append(f"{variant.links.value}: {error.strerror}: {error.reason}")
        except BaseException:
            module.close()
            raise
    raise KernelError(
        f"the kernel takes none of our programs ({'; '.join(failures)})", "ebpf-prof doctor"
    )
