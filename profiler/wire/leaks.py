"""Mirror of bpf/leaks_wire.h: bytes of the programs that follow objects to values and back.

Layouts, order and constants are those of the header; tests/unit/wire/test_headers.py compares both.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from profiler.wire.lookups import STEPPED, Record

_CHECK_BITS = 64


class ObjectPlace(IntEnum):
    """What a probe's place is, and what an event tells."""

    ALLOC = 0
    INNER_ALLOC = 1
    REFERENCE = 2
    LINK = 3
    UNLINK = 4
    FREE = 5


class ObjectWatch(IntEnum):
    """A kind of stretch that has a budget of its own."""

    ALL = 0
    FREES = 1


def object_cookie(place: ObjectPlace, value: int, emulated: bool) -> int:
    """Return a probe's cookie; `value` has at most 55 bits."""
    return place << 56 | (0 if emulated else STEPPED) | value & (STEPPED - 1)


@dataclass(frozen=True, slots=True)
class ObjectControl(Record):
    """What user space sets for one kind of stretch; see struct object_control."""

    FORMAT = struct.Struct("<3Q7I4x")

    window: int
    allowance_ns: int
    birth_allowance_ns: int
    trap_ns: int
    stepped_trap_ns: int
    return_trap_ns: int
    program_ns: int
    birth_quota: int
    stack_share: int
    max_changes: int


@dataclass(frozen=True, slots=True)
class ObjectState(Record):
    """What the programs count; see struct object_state."""

    FORMAT = struct.Struct("<9Q")

    trap_ns: int = 0
    spent_ns: int = 0
    used_up_ns: int = 0
    births: int = 0
    births_filtered: int = 0
    births_lost: int = 0
    changes: int = 0
    changes_lost: int = 0
    links_lost: int = 0


@dataclass(frozen=True, slots=True)
class ObjectTypeKey(Record):
    """What is allocated alike; see struct object_type."""

    FORMAT = struct.Struct("<4QI4x")

    destructor: int
    file: int
    function: int
    size: int
    line: int


@dataclass(frozen=True, slots=True)
class ObjectBirths(Record):
    """How many objects of a type were born; see struct object_births."""

    FORMAT = struct.Struct("<3Q")

    born: int
    window: int
    chosen: int


@dataclass(frozen=True, slots=True)
class FollowedRecord(Record):
    """An object that the kernel follows; see struct followed_object."""

    FORMAT = struct.Struct("<3QI4x")

    id: int
    changes: int
    changes_lost: int
    has_stacks: int


@dataclass(frozen=True, slots=True)
class ObjectLink(Record):
    """Where something was linked, or unlinked; see struct object_link."""

    FORMAT = struct.Struct("<3Q2I")

    container: int
    file: int
    function: int
    line: int
    place: int


@dataclass(frozen=True, slots=True)
class ObjectEvent(Record):
    """Something happened to an object that is followed; see struct object_event."""

    FORMAT = struct.Struct("<10Q2I2iI4x")

    time_ns: int
    id: int
    object: int
    file: int
    function: int
    caller: int
    stack: int
    check: int
    container: int
    size: int
    line: int
    tid: int
    delta: int
    before: int
    place: int

    @property
    def stack_name(self) -> int | None:
        """What names the stack among all; None: it was not unwound."""
        return self.check << _CHECK_BITS | self.stack or None
