"""Events of followed objects, made by hand."""

from __future__ import annotations

from profiler.wire.leaks import ObjectEvent, ObjectPlace

OBJECT = 0x7000_0000_1000
DESTRUCTOR = 0x5000_0000_1000
FILE, FUNCTION = 0x5000_0000_2000, 0x5000_0000_3000


def event(
    time_ns: int,
    place: ObjectPlace = ObjectPlace.REFERENCE,
    delta: int = 0,
    before: int = 0,
    *,
    id: int = 1,
    address: int = OBJECT,
    container: int = 0,
    size: int = 0,
) -> bytes:
    """Return an event as the kernel sends it."""
    return ObjectEvent(
        time_ns, id, address, FILE, FUNCTION, 6, 0, 0, container, size, 11, 12, delta, before, place
    ).encode()


def birth(time_ns: int, *, id: int = 1, address: int = OBJECT) -> bytes:
    place = ObjectPlace.ALLOC
    return event(time_ns, place, id=id, address=address, container=DESTRUCTOR, size=32)


def freed(time_ns: int, *, id: int = 1, lost: int = 0) -> bytes:
    return event(time_ns, ObjectPlace.FREE, id=id, size=lost)
