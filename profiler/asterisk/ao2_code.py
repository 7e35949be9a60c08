"""Finds the parts of Asterisk's ao2 container code in a stripped executable, by its structure.

Pure analysis of instructions: nothing is read from a process. What is looked for is the same in
Asterisk 13 to 23 (main/astobj2_container.c, internal_ao2_traverse): a loop that calls the
container's v_table for the first and each next node, then drops its reference to the node it
stopped at (`__ao2_ref(node, -1, ...)`) and unlocks the container (`__ao2_unlock(container, ...)`).
Compilers inline and clone that function, so every exported entry's callees are searched.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from profiler.asterisk.abi import ENTRY_FUNCTIONS
from profiler.asterisk.exhausted_traversals import exhausted_places
from profiler.binary.code_image import CodeImage
from profiler.binary.control_flow import CodeFlow, flow_of
from profiler.binary.instructions import RSI
from profiler.binary.probe_sites import Site, SiteRefusedError, site_at

_ALLOCATORS = (
    ("hash", "__ao2_container_alloc_hash"),
    ("rbtree", "__ao2_container_alloc_rbtree"),
    ("hash", "__ao2_container_alloc_list"),
)
_CALL_DEPTH = 3  # __ao2_weakproxy_find, __ao2_find, __ao2_callback, the traversal
_MAX_FUNCTIONS = 1000  # that one search looks into; packaged builds need 36


@dataclass(frozen=True, slots=True)
class Family:
    """What differs between Asterisk 13 and later ones; offsets into the v_table in bytes.

    `call_site_arguments`: the exported functions get the caller's file, line and function.
    Source: main/astobj2_container_private.h, struct ao2_container_methods; 14 dropped a member.
    """

    name: str
    insert: int
    traverse_first: int
    traverse_next: int
    cleanup: int
    slots: int
    call_site_arguments: bool


ASTERISK_14 = Family("14 and later", 0x18, 0x20, 0x28, 0x30, 8, True)
ASTERISK_13 = Family("13", 0x20, 0x28, 0x30, 0x38, 9, False)


@dataclass(frozen=True, slots=True)
class Traversal:
    """One copy of internal_ao2_traverse, [start, end).

    `entries` are the exported functions that lead to it. At `release_sites` (call of __ao2_ref) rdi
    is the node that the traversal stopped at, and one of them is passed exactly when it stopped at
    a node; at `unlock_sites` (call of __ao2_unlock) rdi is the container, and one of them is passed
    unless the caller asked for OBJ_NOLOCK. One of `exhausted_sites` is passed exactly when it has
    visited every node, before the unlocking; there are none where no code is passed only then.
    """

    start: int
    end: int
    entries: tuple[str, ...]
    release_sites: tuple[Site, ...]
    unlock_sites: tuple[Site, ...]
    exhausted_sites: tuple[Site, ...]


@dataclass(frozen=True, slots=True)
class VTable:
    """A table of container methods: its address and the functions that we probe or follow."""

    kind: str  # hash (lists are hash containers of one bucket), rbtree
    address: int
    insert: int  # every element comes in through it, under the container's lock
    traverse_first: int
    traverse_next: int


@dataclass(frozen=True, slots=True)
class Ao2Code:
    """What was found; addresses are those inside the file. Parts that were not found are empty."""

    family: Family
    entries: tuple[tuple[str, int], ...]  # exported name, address
    traversals: tuple[Traversal, ...]
    vtables: tuple[VTable, ...]


def analyse(image: CodeImage) -> Ao2Code:
    """Return the ao2 code of an Asterisk executable."""
    family = ASTERISK_13 if image.exported("__ao2_find_debug") else ASTERISK_14
    addresses = [(name, image.exported(name)) for name in ENTRY_FUNCTIONS]
    entries = tuple((name, address) for name, address in addresses if address is not None)
    found: dict[int, tuple[CodeFlow, list[str]]] = {}
    for name, address in entries:
        for flow in _callees(image, address, _CALL_DEPTH):
            slots = flow.indirect_call_offsets()
            if {family.traverse_first, family.traverse_next} <= slots:
                found.setdefault(flow.start, (flow, []))[1].append(name)
    traversals = [
        _traversal(image, flow, tuple(names), family) for _, (flow, names) in sorted(found.items())
    ]
    understood = tuple(t for t in traversals if t.release_sites and t.unlock_sites)
    if len(understood) < len(traversals):  # the end of each must be seen, or of none
        understood = tuple(replace(t, exhausted_sites=()) for t in understood)
    return Ao2Code(family, entries, understood, tuple(_vtables(image, family)))


def _callees(image: CodeImage, address: int, depth: int) -> Iterator[CodeFlow]:
    """Yield the function at `address` and what it calls directly, down to `depth`, each once."""
    seen = {address}
    level = [address]
    for remaining in range(depth, -1, -1):
        following: list[int] = []
        for start in level:
            flow = flow_of(image, start)
            if flow is None:
                continue
            yield flow
            for target in flow.calls() if remaining else ():
                if target not in seen and len(seen) < _MAX_FUNCTIONS:
                    seen.add(target)
                    following.append(target)
        level = following


def _traversal(
    image: CodeImage, flow: CodeFlow, entries: tuple[str, ...], family: Family
) -> Traversal:
    unlock = image.exported("__ao2_unlock")
    unlocks = [call.address for call, target in flow.direct_calls() if target == unlock]
    releases = _release_calls(image, flow, set(unlocks), family.traverse_first)
    exhausted = exhausted_places(image, flow, family.traverse_first, family.traverse_next)
    exhausted_sites = _sites(
        image, sorted(exhausted), "traverse exhausted", "passed when every node was visited"
    )
    return Traversal(
        flow.start,
        flow.end,
        entries,
        _sites(image, releases, "traverse release", "drops the node the traversal stopped at"),
        _sites(image, unlocks, "traverse unlock", "unlocks the container after the traversal"),
        exhausted_sites if len(exhausted_sites) == len(exhausted) else (),
    )


def _release_calls(
    image: CodeImage, flow: CodeFlow, unlocks: set[int], traverse_first: int
) -> list[int]:
    """Return the addresses of the calls that drop the last node.

    The same function also drops its own iterator container, but after the unlocking or before the
    locking: only the node's release is followed by the unlocking. Where the compiler inlined the
    unlinking of a node, it drops nodes and objects in the loop too; the last one is dropped once.
    """
    names = ("__ao2_ref", "__ao2_ref_debug")
    exported = {address for name in names if (address := image.exported(name)) is not None}
    delta, before_unlock = flow.constants(RSI), flow.reaching(unlocks)
    begins = flow.slot_uses(traverse_first)  # a caller that retries may have inlined all of it
    drops = [
        (call, target)
        for call, target in flow.direct_calls()
        if delta.get(call.address) == -1
        and call.end in before_unlock
        and not flow.repeats(call.address, begins)
    ]
    found = [call.address for call, target in drops if target in exported]
    if found:
        return found
    # Built so that the exported function is a wrapper, and local callers skip it (13).
    local = {
        target
        for address in exported
        if (wrapper := flow_of(image, address)) is not None
        for target in wrapper.calls()
    }
    return [call.address for call, target in drops if target in local]


def _sites(image: CodeImage, addresses: list[int], name: str, reason: str) -> tuple[Site, ...]:
    sites = []
    for address in addresses:
        try:
            sites.append(site_at(image, address, name, reason))
        except SiteRefusedError:
            continue
    return tuple(sites)


def _vtables(image: CodeImage, family: Family) -> Iterator[VTable]:
    """Yield the method tables that the exported allocators refer to."""
    seen: set[int] = set()
    for kind, name in _ALLOCATORS:
        address = image.exported(name)
        for flow in _callees(image, address, 1) if address is not None else ():
            for candidate in flow.data_addresses():
                if candidate in seen:
                    continue
                seen.add(candidate)
                table = _vtable_at(image, candidate, kind, family)
                if table is not None:
                    yield table


def _vtable_at(image: CodeImage, address: int, kind: str, family: Family) -> VTable | None:
    pointers: dict[int, int] = {}
    for offset in range(0, family.slots * 8, 8):
        pointer = image.pointer_at(address + offset)
        function = image.function(pointer) if pointer else None
        if pointer and function is not None and function.start == pointer:
            pointers[offset] = pointer
        elif offset != family.cleanup or pointer:
            return None
    return VTable(
        kind,
        address,
        pointers[family.insert],
        pointers[family.traverse_first],
        pointers[family.traverse_next],
    )
