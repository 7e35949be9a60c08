"""Plans the probes that follow objects, by the rules of all probes."""

from __future__ import annotations

from dataclasses import dataclass

from profiler.asterisk.object_code import allocations, destructions
from profiler.binary.code_image import CodeImage
from profiler.binary.instructions import R8, R9, RBP, RCX, RDI, RSI
from profiler.binary.probe_sites import Site, SiteRefusedError, choose_site
from profiler.errors import ProbeError
from profiler.probes.attach import AttachPoint
from profiler.probes.planner import ProbePlanner, path_of
from profiler.process.mappings import LoadedCode
from profiler.wire.leaks import ObjectPlace, object_cookie

# What the programs read at an entry, and rbp to unwind from there; prototypes: main/astobj2.c.
_FUNCTIONS = (
    (ObjectPlace.REFERENCE, "__ao2_ref", (RDI, RSI, RCX, R8, R9, RBP)),
    (ObjectPlace.LINK, "__ao2_link", (RDI, RSI, R8, R9)),
    (ObjectPlace.UNLINK, "__ao2_unlink", (RDI, RSI, R8, R9)),
)


@dataclass(frozen=True, slots=True)
class ObjectProbe:
    """One probe: its site in words for people, and in numbers for the kernel."""

    site: Site
    point: AttachPoint


@dataclass(frozen=True, slots=True)
class ObjectPlan:
    """The probes that watch all, and those that only watch objects end; () where unknown."""

    all: tuple[ObjectProbe, ...]
    frees: tuple[ObjectProbe, ...]


def plan_objects(planner: ProbePlanner) -> ObjectPlan:
    """Return the probes for a target; raises ProbeError where it cannot be measured."""
    loaded = planner.executable()
    image = planner.image(loaded)
    if image.exported("__ao2_find_debug") is not None:
        raise ProbeError(
            "this is Asterisk 13 or older, which does not pass who takes references",
            "Its own way is REF_DEBUG: see 'refcounter.py' in its contrib/scripts.",
        )
    try:
        entries = [*_allocations(loaded, image), *_entries(loaded, image)]
    except SiteRefusedError as error:
        raise ProbeError(f"objects cannot be followed: {error}") from error
    frees = tuple(
        _probe(loaded, end.site, ObjectPlace.FREE, end.register) for end in destructions(image)
    )
    return ObjectPlan(tuple(entries), frees)


def _allocations(loaded: LoadedCode, image: CodeImage) -> list[ObjectProbe]:
    found = allocations(image)
    if not found:
        raise ProbeError("no mapped file exports __ao2_alloc")
    return [
        _probe(
            loaded,
            made.site,
            ObjectPlace.INNER_ALLOC if made.is_inner else ObjectPlace.ALLOC,
            made.site.stack_bytes or 0,
            with_return=True,
        )
        for made in found
    ]


def _entries(loaded: LoadedCode, image: CodeImage) -> list[ObjectProbe]:
    probes = []
    for place, name, needed in _FUNCTIONS:
        address = image.exported(name)
        if address is None:
            raise ProbeError(f"no mapped file exports {name}")
        site = choose_site(image, address, name, needed)
        probes.append(_probe(loaded, site, place, site.stack_bytes or 0))
    return probes


def _probe(
    loaded: LoadedCode, site: Site, place: ObjectPlace, value: int, with_return: bool = False
) -> ObjectProbe:
    cookie = object_cookie(place, value, site.emulated)
    address = site.vaddr + (loaded.bias or 0)
    is_busy = place is ObjectPlace.REFERENCE
    point = AttachPoint(
        path_of(loaded), site.file_offset, address, cookie, with_return, is_busy=is_busy
    )
    return ObjectProbe(site, point)
