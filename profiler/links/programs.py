"""The program that counts links, and the probe that lets it run."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Set
from contextlib import ExitStack

from profiler.binary.probe_sites import Site
from profiler.linux import bpf
from profiler.linux.bcc import compile_programs
from profiler.linux.bpf import UprobeSite
from profiler.linux.module import ITERATOR_FUNCTIONS, BpfModule, kernel_functions
from profiler.linux.probe_keeper import Keeper
from profiler.linux.probe_link_kinds import ProbeLinkKind, probe_link_errno
from profiler.wire.links import CONTROL, LinkStack, LinkState

SOURCES = ("links.bpf.c",)
_PURPOSE = "links"
_ZERO = struct.pack("<I", 0)
_KINDS = (ProbeLinkKind.MULTI, ProbeLinkKind.SINGLE)


class LinkPrograms:
    """Loaded programs; raises KernelError or OSError where the kernel does not take them."""

    def __init__(self, stack: ExitStack, base: BpfModule, site: Site, path: str) -> None:
        """`base`: the programs that sample the same target. `path`: of the file with the code."""
        self._path = path
        self._point = UprobeSite(site.file_offset, 0)
        self._kind = next((kind for kind in _KINDS if not probe_link_errno(kind)), _KINDS[-1])
        self.module = base.extended(compile_programs(SOURCES, definitions(site)))
        stack.callback(self.module.close)
        self._stops = self.module.ring_buffer("link_stops")
        self._begin, unwind = (
            self.module.load(name, bpf.PROG_KPROBE, self._kind.attach_type)
            for name in ("link_begin", "link_unwind")
        )
        self._programs = (self._begin, unwind)
        self.module.set_tail_call("link_programs", 0, unwind)
        self._keeper = Keeper((self._begin.descriptor,))
        stack.callback(self._keeper.close)

    @property
    def wake_descriptor(self) -> int:
        """Becomes readable when an allowance is spent."""
        return self._stops.descriptor

    def attach(self, pid: int) -> None:
        """Place the probe; raises OSError."""
        program = self._begin.descriptor
        links = self._kind.probe_links(program, self._path, [self._point], pid, False)
        self._keeper.attach(_PURPOSE, links)

    def detach(self) -> None:
        """Take the probe away; returns when it is gone."""
        self._keeper.detach(_PURPOSE)

    def watch(self, containers: Set[int]) -> None:
        """Say into which containers links are counted, beside those that were said before."""
        for address in containers:
            self.module.map("linked_containers").set(struct.pack("<Q", address), b"\1")

    def control(self, allowance_ns: int, event_ns: int, unwind_ns: int) -> None:
        """Say how long links are counted; 0: they are not."""
        value = CONTROL.pack(allowance_ns, event_ns, unwind_ns)
        self.module.map("link_control").set(_ZERO, value)

    def state(self) -> LinkState:
        """Return what the programs have counted."""
        self._stops.drain()
        value = self.module.map("link_state").get(_ZERO)
        return LinkState.decode(value) if value else LinkState()

    def run_time_ns(self) -> int:
        """Return the time that the programs took so far."""
        return sum(program.statistics().run_time_ns for program in self._programs)

    def counts(self) -> Iterator[tuple[LinkStack, int]]:
        """Yield who linked, and how often."""
        for key, value in self.module.map("link_counts").items():
            yield LinkStack.decode(key), int.from_bytes(value, "little")


def definitions(site: Site) -> dict[str, int]:
    """Return the C macros for a probe at a site."""
    return {
        "LINK_STACK_BYTES": site.stack_bytes or 0,
        "WALK_ITERATOR": int(kernel_functions().keys() >= ITERATOR_FUNCTIONS),
    }
