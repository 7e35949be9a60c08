"""Plans where the lookup probes go, from the code of the running executable alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from profiler.asterisk.abi import ENTRY_FUNCTIONS
from profiler.asterisk.ao2_code import Ao2Code, analyse
from profiler.binary.call_frames import MalformedCallFramesError
from profiler.binary.code_image import CodeImage
from profiler.binary.control_flow import flow_of
from profiler.binary.functions import functions
from profiler.binary.instructions import R8, R9, RCX, RDI, RDX, RSI
from profiler.binary.probe_sites import Site, SiteRefusedError, choose_site
from profiler.errors import ProbeError
from profiler.probes.attach import AttachPoint
from profiler.process.mappings import LoadedCode, TargetCode
from profiler.wire.lookups import (
    FUNCTION_BITS,
    MATCH_BY_ADDRESS,
    Place,
    TraversalCode,
    cookie,
    function_value,
    place_of,
)

# Registers that hold what the programs read at an entry; prototypes: main/astobj2_container.c.
_ENTRY_ARGUMENTS = {
    "__ao2_find": (RDI, RSI, RDX, R8, R9),
    "__ao2_callback": (RDI, RSI, RDX, RCX, R9),
    "__ao2_callback_data": (RDI, RSI, RDX, RCX),
    "__ao2_unlink": (RDI, RSI, RDX, R8, R9),
    "__ao2_weakproxy_find": (RDI, RSI, RDX, R8, R9),
}
_FIRST_ARGUMENTS = (RDI, RSI, RDX, RCX)
_NEXT_ARGUMENTS = (RDI, RSI)
# Their helpers, which have no place in a table, are within this distance.
_NEIGHBOUR_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class PlannedProbe:
    """One probe: its site in words for people, and in numbers for the kernel.

    Lookups of the `entries` (indices of ENTRY_FUNCTIONS) pass it, in containers with `v_table` only
    unless that is None.
    """

    site: Site
    point: AttachPoint
    entries: frozenset[int]
    v_table: int | None = None


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """Everything that one executable's structure says about where to measure."""

    probes: tuple[PlannedProbe, ...]
    call_site_arguments: bool  # callers pass file, line and function (Asterisk 14 and later)
    warnings: tuple[str, ...]
    returns: bool = True  # the returns of the entry functions can be trapped
    code: tuple[int, int] = (0, 1 << FUNCTION_BITS)  # where in the target containers' code is
    hash_insert: tuple[int, int] = (0, 0)  # the part of it that puts elements into hash containers
    tree_insert: tuple[int, int] = (0, 0)  # and into trees
    verify: bool = False  # every step of a traversal is trapped too, and the counts are compared

    def has(self, place: Place) -> bool:
        """Return whether a probe marks this place."""
        return any(place_of(probe.point.cookie) is place for probe in self.probes)

    @property
    def exhausted_sites(self) -> bool:
        """Whether traversals are seen where they have visited every node, not at the unlocking."""
        return self.has(Place.TRAVERSAL_EXHAUSTED)

    def definitions(self) -> dict[str, int]:
        """Return the C macros by which the programs are built for this plan."""
        return {
            "UNLOCK_SITES": int(self.has(Place.TRAVERSAL_UNLOCK)),
            "EXHAUSTED_SITES": int(self.exhausted_sites),
            "END_SITES": int(self.has(Place.TRAVERSAL_END)),
            "INSERT_SITES": int(self.has(Place.INSERT)),
            "CALL_SITE_ARGUMENTS": int(self.call_site_arguments),
            "RETURNS": int(self.returns),
            "VERIFY": int(self.verify),
        }

    def traversal_code(self) -> TraversalCode:
        """Return what the programs have to know of the target's code."""
        ranges = (self.code, self.hash_insert, self.tree_insert)
        return TraversalCode(*(number for start, end in ranges for number in (start, end - start)))

    def without_returns(self) -> ProbePlan:
        """Return the same plan for a target in which a return probe would do harm."""
        probes = tuple(
            replace(probe, point=replace(probe.point, with_return=False)) for probe in self.probes
        )
        warning = "the target's system calls are filtered: results of lookups are not seen"
        return replace(self, probes=probes, returns=False, warnings=(*self.warnings, warning))


class ProbePlanner:
    """Plans probes for one target; remembers the code that it has looked at."""

    def __init__(self, code: TargetCode) -> None:
        self._code = code
        self._images: dict[int, CodeImage] = {}

    def image(self, loaded: LoadedCode) -> CodeImage:
        """Return the decoded view of a mapped file."""
        if loaded.file is None:
            raise ProbeError(f"{loaded.mapping.path} cannot be read: {loaded.problem}")
        key = id(loaded.file)
        if key not in self._images:
            try:
                self._images[key] = CodeImage(loaded.file.elf, functions(loaded.file.elf))
            except MalformedCallFramesError as error:
                raise ProbeError(f"{loaded.mapping.path} cannot be read: {error}") from None
        return self._images[key]

    def executable(self) -> LoadedCode:
        """Return the mapping that holds the ao2 code; raises ProbeError."""
        for loaded in self._code.current:
            if loaded.file is not None and self.image(loaded).exported("__ao2_find") is not None:
                return loaded
        raise ProbeError(
            "no mapped file exports __ao2_find, so this is no Asterisk that can be measured",
            "ebpf-prof asterisk --cpu-only",
        )

    def entry_addresses(self) -> dict[int, int]:
        """Return where the entry functions are in the target, by their index."""
        loaded = self.executable()
        image = self.image(loaded)
        addresses = ((index, image.exported(name)) for index, name in enumerate(ENTRY_FUNCTIONS))
        return {
            index: address + (loaded.bias or 0)
            for index, address in addresses
            if address is not None
        }

    def returns_zero(self, address: int) -> bool:
        """Return whether the function at an address is known to return 0 and to do nothing else."""
        loaded = self._code.at(address)
        if loaded is None or loaded.file is None or loaded.bias is None:
            return False
        flow = flow_of(self.image(loaded), address - loaded.bias)
        return flow is not None and flow.constant_result() == 0

    def plan(self, verify: bool = False) -> ProbePlan:
        """Return the probes of the ao2 functions; raises ProbeError when none can be placed.

        With `verify`, one more probe is inside the traversals' loop: it costs a trap per node.
        """
        loaded = self.executable()
        image = self.image(loaded)
        ao2 = analyse(image)
        warnings: list[str] = []
        probes = [
            *self._entries(loaded, image, ao2, warnings),
            *self._firsts(loaded, image, ao2, warnings),
            *self._inside(loaded, ao2),
        ]
        if verify:
            probes += self._nexts(loaded, image, ao2, warnings)
        probes += self._inserts(loaded, image, ao2)
        places = {place_of(probe.point.cookie) for probe in probes}
        if Place.FIND not in places:
            raise ProbeError("no probe can be placed on __ao2_find: " + "; ".join(warnings))
        if Place.TRAVERSAL_END not in places:
            warnings.append("the end of a traversal was not found in the code: counts unverified")
        return ProbePlan(
            tuple(probes),
            ao2.family.call_site_arguments,
            tuple(warnings),
            code=_code_of_containers(loaded, image, ao2),
            hash_insert=_code_of_insert(loaded, image, ao2, "hash"),
            tree_insert=_code_of_insert(loaded, image, ao2, "rbtree"),
            verify=verify,
        )

    def _entries(
        self, loaded: LoadedCode, image: CodeImage, ao2: Ao2Code, warnings: list[str]
    ) -> list[PlannedProbe]:
        probes = []
        for name, address in ao2.entries:
            try:
                site = choose_site(image, address, name, _ENTRY_ARGUMENTS[name], returns=True)
            except SiteRefusedError as error:
                warnings.append(str(error))
                continue
            place = Place(ENTRY_FUNCTIONS.index(name))
            probe = self._probe(loaded, site, place, site.stack_bytes or 0, True)
            probes.append(replace(probe, entries=frozenset((place,))))
        return probes

    def _firsts(
        self, loaded: LoadedCode, image: CodeImage, ao2: Ao2Code, warnings: list[str]
    ) -> list[PlannedProbe]:
        probes = []
        for table in ao2.vtables:
            name = f"traverse_first of {table.kind}"
            try:
                site = choose_site(image, table.traverse_first, name, _FIRST_ARGUMENTS)
            except SiteRefusedError as error:
                warnings.append(str(error))
                continue
            pushed = site.stack_bytes or 0
            probe = self._probe(loaded, site, Place.TRAVERSAL_FIRST, pushed, False)
            probes.append(replace(probe, v_table=table.address + (loaded.bias or 0)))
        return probes

    def _nexts(
        self, loaded: LoadedCode, image: CodeImage, ao2: Ao2Code, warnings: list[str]
    ) -> list[PlannedProbe]:
        probes = []
        for table in ao2.vtables:
            name = f"traverse_next of {table.kind}"
            try:
                site = choose_site(image, table.traverse_next, name, _NEXT_ARGUMENTS)
            except SiteRefusedError as error:
                warnings.append(f"not compared with the code's own steps: {error}")
                continue
            probes.append(self._probe(loaded, site, Place.TRAVERSAL_NEXT, 0, False))
        return probes

    def _inserts(self, loaded: LoadedCode, image: CodeImage, ao2: Ao2Code) -> list[PlannedProbe]:
        """Return probes on all methods that put elements into hash containers, or none."""
        methods = [table.insert for table in ao2.vtables if table.kind == "hash"]
        try:
            sites = [choose_site(image, method, "insert of hash", (RDI,)) for method in methods]
        except SiteRefusedError:
            return []
        probes = [
            self._probe(loaded, site, Place.INSERT, site.stack_bytes or 0, False) for site in sites
        ]
        return [replace(probe, entries=frozenset()) for probe in probes]

    def _inside(self, loaded: LoadedCode, ao2: Ao2Code) -> list[PlannedProbe]:
        """Return probes on the ends of all traversals, and on the unlocking only if it must be."""
        exhausted = all(traversal.exhausted_sites for traversal in ao2.traversals)
        return [
            replace(self._probe(loaded, site, place, 0, False), entries=_indices(traversal.entries))
            for traversal in ao2.traversals
            for place, sites in (
                (Place.TRAVERSAL_END, traversal.release_sites),
                (Place.TRAVERSAL_EXHAUSTED, traversal.exhausted_sites if exhausted else ()),
                (Place.TRAVERSAL_UNLOCK, () if exhausted else traversal.unlock_sites),
            )
            for site in sites
        ]

    def comparison(self, function: int) -> PlannedProbe | None:
        """Return a probe that counts calls of the function at an address, None if refused.

        MATCH_BY_ADDRESS stands for the function that __ao2_unlink compares with.
        """
        loaded = self._code_of(function)
        if loaded is None or loaded.bias is None:
            return None
        address: int | None = function - loaded.bias
        if function == MATCH_BY_ADDRESS:
            address = self.image(loaded).exported("ao2_match_by_addr")
        if address is None:
            return None
        try:
            site = choose_site(self.image(loaded), address, "comparison function", ())
        except SiteRefusedError:
            return None
        value = function_value(function, site.stack_bytes or 0)
        return self._probe(loaded, site, Place.COMPARISON, value, False)

    def is_current(self, function: int, probe: PlannedProbe) -> bool:
        """Return whether the code at an address is still that in which the probe is placed."""
        loaded = self._code_of(function)
        return loaded is not None and probe.point.path == path_of(loaded)

    def _code_of(self, function: int) -> LoadedCode | None:
        """Return the code that holds a comparison function, None where no probe can be placed."""
        loaded = self.executable() if function == MATCH_BY_ADDRESS else self._code.at(function)
        if loaded is None or loaded.file is None or loaded.file.handle is None:
            return None
        return loaded

    def _probe(
        self, loaded: LoadedCode, site: Site, place: Place, value: int, with_return: bool
    ) -> PlannedProbe:
        address = site.vaddr + (loaded.bias or 0)
        cookie_value = cookie(place, value, site.emulated)
        attach_point = AttachPoint(
            path_of(loaded), site.file_offset, address, cookie_value, with_return
        )
        return PlannedProbe(site, attach_point, _indices(ENTRY_FUNCTIONS))


def path_of(loaded: LoadedCode) -> str:
    """Return a path that leads to the file that was analysed, whatever is mapped there later."""
    if loaded.file is None or loaded.file.handle is None:
        raise ProbeError(
            f"{loaded.mapping.path} is no file that a probe can be placed in",
            "ebpf-prof asterisk --cpu-only",
        )
    return f"/proc/{os.getpid()}/fd/{loaded.file.handle.fd}"


def _indices(entries: Iterable[str]) -> frozenset[int]:
    return frozenset(ENTRY_FUNCTIONS.index(name) for name in entries)


def _code_of_containers(loaded: LoadedCode, image: CodeImage, ao2: Ao2Code) -> tuple[int, int]:
    """Return addresses around the functions that call sort functions: [start, end).

    They are those of main/astobj2_container.c, _hash.c and _rbtree.c, which are linked one after
    the other. More than them does no harm, unless a callback that is there sorts by itself.
    """
    starts = [table.traverse_first for table in ao2.vtables]
    starts += [table.traverse_next for table in ao2.vtables]
    starts += [traversal.start for traversal in ao2.traversals]
    known = [function for start in starts if (function := image.function(start)) is not None]
    if not known:
        return 0, 1 << FUNCTION_BITS
    bias = loaded.bias or 0
    first = min(function.start for function in known) - _NEIGHBOUR_BYTES
    last = max(function.end for function in known) + _NEIGHBOUR_BYTES
    return max(first, 0) + bias, last + bias


def _code_of_insert(
    loaded: LoadedCode, image: CodeImage, ao2: Ao2Code, kind: str
) -> tuple[int, int]:
    """Return where the method is that puts elements into one kind of container: [start, end)."""
    methods = [image.function(table.insert) for table in ao2.vtables if table.kind == kind]
    known = [method for method in methods if method is not None]
    if not known:
        return 0, 0
    bias = loaded.bias or 0
    return known[0].start + bias, known[0].end + bias
