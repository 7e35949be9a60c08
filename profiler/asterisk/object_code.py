"""Finds where Asterisk's code makes an ao2 object, and where it destroys one, by structure.

Pure analysis of instructions. Source: main/astobj2.c of Asterisk 14 to 23, internal_ao2_alloc()
and __ao2_ref(). GCC makes __ao2_alloc() a short function that calls internal_ao2_alloc(), or puts
all of that into it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from profiler.binary.code_image import CodeImage
from profiler.binary.control_flow import CodeFlow, flow_of, moves_pointer
from profiler.binary.instructions import R8, R9, RBP, RDI, RSI, RSP, Flow, Instruction
from profiler.binary.probe_sites import Site, SiteRefusedError, choose_site, site_at

_ALLOCATORS = ("__ao2_alloc", "__ao2_alloc_with_lockobj")
_INNER = "internal_ao2_alloc"
# struct __priv_data lies before the object; with AO2_DEBUG a size behind the destructor.
_DESTRUCTORS_AT = (-0x18, -0x20)
_NEAR = 5  # instructions between the check of the destructor, its load and its call
_WRAPPER_INSTRUCTIONS = 16
# What must still be the caller's: size, destructor, file; and rbp, to unwind from there.
_ALLOC_ARGUMENTS = (RDI, RSI, R8, R9, RBP)
_INNER_ARGUMENTS = (RDI, RSI, R9, RBP)


@dataclass(frozen=True, slots=True)
class Allocation:
    """A function that makes objects; `is_inner` where it is internal_ao2_alloc()."""

    name: str
    site: Site
    is_inner: bool


@dataclass(frozen=True, slots=True)
class Destruction:
    """Where an object is about to be destroyed; `register` holds it there."""

    site: Site
    register: int


def allocations(image: CodeImage) -> tuple[Allocation, ...]:
    """Return places of which every allocation passes one, with the cheapest probes.

    Raises SiteRefusedError where one cannot have a probe.
    """
    addresses = [(name, image.exported(name)) for name in _ALLOCATORS]
    own = [
        (Allocation(name, choose_site(image, address, name, _ALLOC_ARGUMENTS, True), False), inner)
        for name, address in addresses
        if address is not None
        for inner in (_inner(image, address),)
    ]
    instead = {inner for allocation, inner in own if not allocation.site.emulated}
    inside = tuple(
        Allocation(_INNER, choose_site(image, inner, _INNER, _INNER_ARGUMENTS, True), True)
        for inner in instead
        if inner is not None
    )
    return (*(a for a, inner in own if inner is None or inner not in instead), *inside)


def _inner(image: CodeImage, address: int) -> int | None:
    """Return the function that a short one only hands its arguments to, in other registers."""
    flow = flow_of(image, address)
    if flow is None or len(flow.code) > _WRAPPER_INSTRUCTIONS:
        return None
    called = [destination for _, destination in flow.direct_calls()]
    hands_file_on = any(
        instruction.mnemonic == "mov" and (instruction.first, instruction.second) == (R9, R8)
        for instruction in flow.code.values()
    )
    return called[0] if len(called) == 1 and hands_file_on else None


def destructions(image: CodeImage) -> tuple[Destruction, ...]:
    """Return the places of which one is passed whenever an object is destroyed; () if unknown."""
    address = image.exported("__ao2_ref")
    flow = flow_of(image, address) if address is not None else None
    if flow is None:
        return ()
    calls = list(_destructor_calls(flow))
    found: dict[int, Destruction] = {}
    for call, register in calls:
        check = _check_before(flow, call, register)
        if check is None:
            return ()
        try:
            site = site_at(image, check, "destruction", "passed when an object is destroyed")
        except SiteRefusedError:
            return ()
        found[check] = Destruction(site, register)
    return tuple(found.values())


def _destructor_calls(flow: CodeFlow) -> Iterator[tuple[Instruction, int]]:
    """Yield the calls of what was loaded from in front of an object, and that one's register."""
    code = tuple(flow.code.values())
    for at, instruction in enumerate(code):
        register = _object_of(instruction)
        if instruction.flow is Flow.INDIRECT_CALL and register is not None:
            yield instruction, register
            continue
        called = flow.called_register(instruction)
        if called is None:
            continue
        for earlier in reversed(code[max(at - _NEAR, 0) : at]):
            loaded_from = _object_of(earlier)
            if earlier.first == called and moves_pointer(earlier) and loaded_from is not None:
                yield instruction, loaded_from
                break


def _object_of(instruction: Instruction) -> int | None:
    """Return the register that points to an object whose destructor the instruction names."""
    memory = instruction.memory
    if memory is None or memory.index is not None or memory.base in (None, RSP):
        return None
    return memory.base if memory.displacement in _DESTRUCTORS_AT else None


def _check_before(flow: CodeFlow, call: Instruction, register: int) -> int | None:
    """Return the branch that skips the call where there is no destructor."""
    code = tuple(flow.code.values())
    at = next(index for index, instruction in enumerate(code) if instruction == call)
    for index in range(at - 1, max(at - _NEAR, 0), -1):
        instruction = code[index]
        if instruction.flow is Flow.BRANCH:
            before = code[max(index - _NEAR, 0) : index]
            return instruction.address if any(_object_of(i) == register for i in before) else None
        if instruction.flow is not Flow.STRAIGHT:
            return None
    return None
