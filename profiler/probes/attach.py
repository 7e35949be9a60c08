"""Attaches the lookup programs to places in the target's files, in the best way the kernel has.

Session links (Linux 6.13) take one program and one link for all places, and trap a function's
return only when its entry asked for it. Multi links (6.6) take one for entries and one for returns.
Before that every place is a perf event of its own. Only the target is trapped in all three; the
kernel removes the probes with their last descriptor, also when we are killed.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from profiler.errors import KernelError
from profiler.linux import bpf
from profiler.linux.bcc import (
    ITERATOR_FUNCTIONS,
    SESSION_FUNCTIONS,
    BpfModule,
    Program,
    kernel_functions,
)
from profiler.linux.bpf import UprobePlace, VerifierError
from profiler.linux.link_kinds import LinkKind, link_errno
from profiler.linux.links import Link, Links, ManyPlaces, OnePlace
from profiler.linux.probe_keeper import Keeper

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
_TRIES = 3
_SOURCES = ("lookups.bpf.c", "cpu.bpf.c", "exits.bpf.c")


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to build and attach the programs."""

    links: LinkKind
    iterator: bool  # walk by the kernel's open-coded iterators, else by tail calls

    def definitions(self) -> dict[str, int]:
        """Return the C macros of this variant."""
        return {
            "WALK_ITERATOR": int(self.iterator),
            "SESSION": int(self.links is LinkKind.SESSION),
            "COOKIES_BY_ADDRESS": int(self.links is LinkKind.SINGLE),
        }

    def why_not_here(self) -> str:
        """Return what this kernel lacks for this variant, "" when it has all."""
        if number := link_errno(self.links):
            return f"no such links ({os.strerror(number)})"
        wanted = ITERATOR_FUNCTIONS if self.iterator else frozenset[str]()
        if self.links is LinkKind.SESSION:
            wanted |= SESSION_FUNCTIONS
        missing = wanted - kernel_functions().keys()
        return f"no {', '.join(sorted(missing))}" if missing else ""


VARIANTS = (
    Variant(LinkKind.SESSION, True),
    Variant(LinkKind.MULTI, True),
    Variant(LinkKind.MULTI, False),
    Variant(LinkKind.SINGLE, False),
)


@dataclass(frozen=True, slots=True)
class ProbePlace:
    """One probe: in which file, where, and what its program is told.

    Busy places are placed last and removed first. While one is written, threads that hit others
    wait, and the next one is not written before all of those have had a CPU.
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
        self._returns: Program | None = None
        if variant.links is LinkKind.SESSION:
            self._entries = module.load("lookup_session", kprobe, attach)
        else:
            self._entries = module.load("lookup_entry", kprobe, attach)
            self._returns = module.load("lookup_return", kprobe, attach)
        self._tally = module.load("lookup_tally", kprobe, attach)
        self._idle = module.load("calibrate_return", kprobe, attach)
        self._idle_entry = self._idle
        if variant.links is LinkKind.SESSION:
            self._idle_entry = module.load("calibrate_entry", kprobe, attach)
        self.attached = False  # whether probes are placed now
        self._keeper: Links | Keeper = Keeper(p.descriptor for p in self.entry_programs())

    def entry_programs(self) -> tuple[Program, ...]:
        """Return the programs that probes start; their run time includes those that they call."""
        programs = (self._entries, self._returns, self._tally)
        return tuple(program for program in programs if program is not None)

    def attach(self, places: Sequence[ProbePlace], pid: int, counting: bool = False) -> None:
        """Place all probes; on failure none stays. Raises OSError.

        `counting`: only count how often entry functions are entered. It was seen once that the
        kernel answered EINVAL to what it had taken before, so it is asked again.
        """
        for _ in range(_TRIES - 1):
            try:
                self._attach(places, pid, counting)
                return
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
        self._attach(places, pid, counting)

    def _attach(self, places: Sequence[ProbePlace], pid: int, counting: bool) -> None:
        links: list[Link] = []
        for is_busy, path in sorted({(place.is_busy, place.path) for place in places}):
            here = [p for p in places if p.path == path and p.is_busy == is_busy]
            if self.variant.links is LinkKind.SINGLE:
                links += self._single_links(path, here, pid, counting)
            elif counting:
                links.append(self._link(self._tally, path, here, pid, is_return=False))
            else:
                links += self._file_links(path, here, pid)
        self._keeper.attach(links)
        self.attached = True

    def _file_links(self, path: str, places: Sequence[ProbePlace], pid: int) -> list[Link]:
        # The functions with a return come last, so that a lookup is never entered before the
        # places inside it are watched.
        ordered = sorted(places, key=lambda place: place.with_return)
        returns = [place for place in ordered if place.with_return]
        links: list[Link] = []
        if self._returns is not None and returns:
            links.append(self._link(self._returns, path, returns, pid, is_return=True))
        links.append(self._link(self._entries, path, ordered, pid, is_return=False))
        return links

    def _link(
        self, program: Program, path: str, places: Sequence[ProbePlace], pid: int, is_return: bool
    ) -> ManyPlaces:
        return ManyPlaces(
            program.descriptor,
            self.variant.links.attach_type,
            path,
            tuple(UprobePlace(place.file_offset, place.cookie) for place in places),
            pid,
            is_return,
        )

    def _single_links(
        self, path: str, places: Sequence[ProbePlace], pid: int, counting: bool
    ) -> list[Link]:
        links: list[Link] = []
        for place in places:
            self._tell_cookie(place)
            entered = self._tally if counting else self._entries
            if place.with_return and not counting and self._returns is not None:
                returned = self._returns.descriptor
                links.append(OnePlace(returned, path, place.file_offset, pid, is_return=True))
            links.append(OnePlace(entered.descriptor, path, place.file_offset, pid, False))
        return links

    def _tell_cookie(self, place: ProbePlace) -> None:
        self.module.map("cookies").set(
            struct.pack("<Q", place.address), struct.pack("<Q", place.cookie)
        )

    def detach(self) -> None:
        """Take all probes away; returns when none is left."""
        if self.attached:
            self.attached = False
            self._keeper.detach()

    def close(self) -> None:
        """Take all probes away, and give up the programs and their maps."""
        self._keeper.close()
        self.module.close()

    def link_idle_return(self, path: str, file_offset: int, pid: int) -> list[int]:
        """Attach a program that does nothing to a function's return in a process of ours."""
        return self.link_idle(path, file_offset, True, pid)

    def link_idle(
        self, path: str, file_offset: int, with_return: bool, pid: int | None = None
    ) -> list[int]:
        """Attach a program that does nothing to a place of our own process; for the calibration."""
        pid = pid or os.getpid()
        entry = self._idle if with_return else self._idle_entry
        place = ProbePlace(path, file_offset, 0, 0, with_return)
        if self.variant.links is LinkKind.SINGLE:
            kinds = (True, False) if with_return else (False,)
            idle = self._idle.descriptor
            return [OnePlace(idle, path, file_offset, pid, kind).open() for kind in kinds]
        links = [self._link(entry, path, [place], pid, is_return=False)]
        if with_return and self.variant.links is LinkKind.MULTI:
            links.insert(0, self._link(self._idle, path, [place], pid, is_return=True))
        return [link.open() for link in links]


def load_programs(
    definitions: Mapping[str, int], variants: Sequence[Variant] = VARIANTS
) -> UprobePrograms:
    """Compile and load in the first way that this kernel accepts; raises KernelError."""
    failures: list[str] = []
    rejected: list[str] = []
    for variant in variants:
        # What a kernel does not have is no fault: another way gives the same numbers.
        if lacking := variant.why_not_here():
            failures.append(f"{variant.links.value}: {lacking}")
            continue
        try:
            programs = _load_variant(definitions, variant)
            programs.rejected = tuple(rejected)
            return programs
        except VerifierError as error:
            failures.append(f"{variant.links.value}: {error.strerror}: {_last_line(error.log)}")
            # Ours to mend: the way that is left works, but slower.
            rejected.append(f"programs refused by the verifier, {failures[-1]}")
        except OSError as error:
            failures.append(f"{variant.links.value}: {error}")
    raise KernelError(
        f"the kernel takes none of our programs ({'; '.join(failures)})",
        "ebpf-prof asterisk --cpu-only",
    )


def _load_variant(definitions: Mapping[str, int], variant: Variant) -> UprobePrograms:
    """Compile and load one variant, with shorter walks through trees where long ones are refused.

    Without iterators the verifier follows every step of a walk, and how many it bears differs from
    kernel to kernel: 5.15 refuses 500 and takes 250, 5.10 and 6.1 take 1,000. Raises OSError or
    KernelError.
    """
    attempts: list[dict[str, int]] = [{}]
    if not variant.iterator:
        attempts = [{"TREE_STEPS": steps} for steps in _TREE_STEPS]
    *first, last = ({**definitions, **variant.definitions(), **attempt} for attempt in attempts)
    for attempt in first:
        try:
            return _load_once(attempt, variant)
        except VerifierError as error:
            if error.errno != errno.E2BIG:
                raise
    return _load_once(last, variant)


def _load_once(definitions: Mapping[str, int], variant: Variant) -> UprobePrograms:
    module = BpfModule(_SOURCES, definitions)
    try:
        has_checkpoints = variant.iterator and bool(definitions.get("INSERT_SITES"))
        return UprobePrograms(module, variant, has_checkpoints)
    except BaseException:
        module.close()
        raise


def _last_line(log: str) -> str:
    lines = [line for line in log.splitlines() if line and not line.startswith("processed")]
    return lines[-1][:120] if lines else ""
