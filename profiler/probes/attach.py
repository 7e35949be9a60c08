"""Attaches the lookup programs to sites in the target's files, in the best way the kernel has.

Multi links (Linux 6.6) take one link for all entries and one for returns. Before that every site is
a perf event of its own. Only the target is trapped in both; the kernel removes the probes with
their last descriptor, also when we are killed.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiler.errors import KernelError
from profiler.linux import bpf
from profiler.linux.bcc import compile_programs
from profiler.linux.bpf import UprobeSite, VerifierError
from profiler.linux.module import (
    ITERATOR_FUNCTIONS,
    BpfModule,
    Program,
    kernel_functions,
)
from profiler.linux.probe_keeper import Keeper
from profiler.linux.probe_link_kinds import ProbeLinkKind, probe_link_errno
from profiler.linux.probe_links import ProbeLink

# In the order of enum step_program in bpf/lookup_state.h.
_STEP_PROGRAMS = (
    "lookup_count",
    "lookup_walk",
    "lookup_commit",
    "lookup_unwind",
    "lookup_walk_tree",
)
_CHECKPOINT_PROGRAMS = ("lookup_make_checkpoints", "lookup_use_checkpoints")
_TREE_STEPS = (1_000, 250, 60)  # of one program; the first that the verifier accepts
# What is lost without iterators, and what helps.
SHORT_WALKS = "145,000 nodes of a chain and 14,000 of a tree (Linux 5.15: 3,600)"
LONG_WALKS_NEED = "Linux 6.6 and newer with BTF follow 2,000,000"
_TRIES = 3
_MEASURE, _COUNT = "measure", "count"
_SOURCES = ("lookups.bpf.c",)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to build and attach the programs."""

    links: ProbeLinkKind
    iterator: bool  # walk by the kernel's open-coded iterators, else by tail calls

    def definitions(self) -> dict[str, int]:
        """Return the C macros of this variant."""
        return {
            "WALK_ITERATOR": int(self.iterator),
            "COOKIES_BY_ADDRESS": int(self.links is ProbeLinkKind.SINGLE),
        }

    def why_not_here(self) -> str:
        """Return what this kernel lacks for this variant, "" when it has all."""
        if number := probe_link_errno(self.links):
            return f"no such links ({os.strerror(number)})"
        wanted = ITERATOR_FUNCTIONS if self.iterator else frozenset[str]()
        missing = wanted - kernel_functions().keys()
        return f"no {', '.join(sorted(missing))}" if missing else ""


VARIANTS = (
    Variant(ProbeLinkKind.MULTI, True),
    Variant(ProbeLinkKind.MULTI, False),
    Variant(ProbeLinkKind.SINGLE, False),
)


def variants_here() -> tuple[Variant, ...]:
    """Return the ways that this kernel has, the best first; none: no probe can run a program."""
    return tuple(way for way in VARIANTS if not way.why_not_here())


def best_variant_here() -> Variant | None:
    """Return the best way that this kernel has; worse ones are not tried: 0.1 s each."""
    return next((way for way in VARIANTS if not way.why_not_here()), None)


@dataclass(frozen=True, slots=True)
class AttachPoint:
    """One probe: in which file, where, and the cookie that its program reads.

    Probes at busy sites are placed last and removed first. While one is written, threads that hit
    others wait, and the next one is not written before all of those have had a CPU.
    """

    path: str
    file_offset: int
    address: int  # in the target's memory
    cookie: int
    with_return: bool
    is_busy: bool = False


class UprobePrograms:
    """The compiled and loaded lookup programs, and the links that let them run."""

    def __init__(self, module: BpfModule, variant: Variant, has_checkpoints: bool) -> None:
        self.module = module
        self.variant = variant
        self.rejected: tuple[str, ...] = ()  # faster ways that the verifier refused
        attach = variant.links.attach_type
        kprobe = bpf.PROG_KPROBE
        steps = _STEP_PROGRAMS + (_CHECKPOINT_PROGRAMS if has_checkpoints else ())
        for index, name in enumerate(steps):
            module.set_tail_call("lookup_programs", index, module.load(name, kprobe, attach))
        self._entries = module.load("lookup_entry", kprobe, attach)
        self._returns = module.load("lookup_return", kprobe, attach)
        self._entry_count = module.load("count_entry", kprobe, attach)
        self._idle = module.load("calibrate_return", kprobe, attach)
        self._keeper = Keeper(p.descriptor for p in (*self.entry_programs(), self._entry_count))
        self._purposes: set[str] = set()  # for which probes are placed now

    def entry_programs(self) -> tuple[Program, ...]:
        """Return the programs that probes start; their run time includes those that they call."""
        return (self._entries, self._returns)

    @property
    def counting_program(self) -> Program:
        """The program that only counts entries."""
        return self._entry_count

    @property
    def attached(self) -> bool:
        """Whether probes are placed that measure."""
        return _MEASURE in self._purposes

    def attach(self, points: Sequence[AttachPoint], pid: int) -> None:
        """Place all probes that measure; on failure none stays. Raises OSError."""
        self._attach_again(_MEASURE, points, pid)

    def count(self, points: Sequence[AttachPoint], pid: int) -> None:
        """Place probes that count, at entry functions; on failure none stays. Raises OSError."""
        self._attach_again(_COUNT, points, pid)

    def _attach_again(self, purpose: str, points: Sequence[AttachPoint], pid: int) -> None:
        """Attach; it was seen once that the kernel answered EINVAL to what it had taken before."""
        for _ in range(_TRIES - 1):
            try:
                self._attach(purpose, points, pid)
                return
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
        self._attach(purpose, points, pid)

    def _attach(self, purpose: str, points: Sequence[AttachPoint], pid: int) -> None:
        links: list[ProbeLink] = []
        for is_busy, path in sorted({(point.is_busy, point.path) for point in points}):
            here = [p for p in points if p.path == path and p.is_busy == is_busy]
            links += self._file_links(purpose, path, here, pid)
        self._keeper.attach(purpose, links)
        self._purposes.add(purpose)

    def _file_links(
        self, purpose: str, path: str, points: Sequence[AttachPoint], pid: int
    ) -> list[ProbeLink]:
        if self.variant.links is ProbeLinkKind.SINGLE:
            cookies = self.module.map("cookies")
            for point in points:
                cookies.set(struct.pack("<Q", point.address), struct.pack("<Q", point.cookie))
        if purpose == _COUNT:
            return self._links(self._entry_count, path, points, pid, is_return=False)
        # The functions with a return come last, so that a lookup is never entered before the
        # sites inside it are.
        ordered = sorted(points, key=lambda point: point.with_return)
        links: list[ProbeLink] = []
        returns = [point for point in ordered if point.with_return]
        if returns:
            links += self._links(self._returns, path, returns, pid, is_return=True)
        return links + self._links(self._entries, path, ordered, pid, is_return=False)

    def _links(
        self, program: Program, path: str, points: Sequence[AttachPoint], pid: int, is_return: bool
    ) -> list[ProbeLink]:
        sites = [UprobeSite(point.file_offset, point.cookie) for point in points]
        return self.variant.links.probe_links(program.descriptor, path, sites, pid, is_return)

    def detach(self) -> None:
        """Take the probes that measure away; returns when none of them is left."""
        self._detach(_MEASURE)

    def stop_counting(self) -> None:
        """Take the probes that count away; returns when none of them is left."""
        self._detach(_COUNT)

    def _detach(self, purpose: str) -> None:
        if purpose in self._purposes:
            self._purposes.remove(purpose)
            self._keeper.detach(purpose)

    def close(self) -> None:
        """Take all probes away, and give up the programs and their maps."""
        self._keeper.close()
        self.module.close()

    def link_idle(
        self, path: str, file_offset: int, with_return: bool, pid: int | None = None
    ) -> list[int]:
        """Attach a program that does nothing to a site of a process of ours, for a trial."""
        idle = self._idle.descriptor
        return self.variant.links.link_idle(idle, path, file_offset, with_return, pid)


def load_programs(
    base: BpfModule, macros: Mapping[str, int], variants: Sequence[Variant] = VARIANTS
) -> UprobePrograms:
    """Compile and load in the first way that this kernel accepts; raises KernelError or OSError.

    `base`: the programs that sample the same target. `macros`: those of the plan.
    """
    failures: list[str] = []
    rejected: list[str] = []
    for variant in variants:
        # What a kernel does not have is no fault: another way gives the same numbers.
        if lacking := variant.why_not_here():
            failures.append(f"{variant.links.value}: {lacking}")
            continue
        try:
            programs = _load_variant(base, macros, variant)
            programs.rejected = tuple(rejected)
            return programs
        except VerifierError as error:
            failures.append(f"{variant.links.value}: {error.strerror}: {error.reason}")
            # Ours to mend: the way that is left works, but slower.
            rejected.append(f"programs refused by the verifier, {failures[-1]}")
    raise KernelError(
        f"the kernel takes none of our programs ({'; '.join(failures)})",
        "ebpf-prof asterisk --cpu-only",
    )


def _load_variant(base: BpfModule, macros: Mapping[str, int], variant: Variant) -> UprobePrograms:
    """Compile and load one variant, with shorter walks through trees where long ones are refused.

    Without iterators the verifier follows every step of a walk, and how many it bears differs from
    kernel to kernel: 5.15 refuses 500 and takes 250, 5.10 and 6.1 take 1,000. Raises OSError or
    KernelError.
    """
    attempts: list[dict[str, int]] = [{}]
    if not variant.iterator:
        attempts = [{"TREE_STEPS": steps} for steps in _TREE_STEPS]
    *first, last = ({**macros, **variant.definitions(), **attempt} for attempt in attempts)
    for attempt in first:
        try:
            return _load_once(base, attempt, variant)
        except VerifierError as error:
            if error.errno != errno.E2BIG:
                raise
    return _load_once(base, last, variant)


def _load_once(base: BpfModule, macros: Mapping[str, int], variant: Variant) -> UprobePrograms:
    module = base.extended(compile_programs(_SOURCES, macros))
    try:
        has_checkpoints = variant.iterator and bool(macros.get("INSERT_SITES"))
        return UprobePrograms(module, variant, has_checkpoints)
    except BaseException:
        module.close()
        raise
