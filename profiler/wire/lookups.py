"""Mirror of bpf/wire.h: bytes of the lookup programs to values and back.

Layouts, order and constants are those of the header; tests/unit/wire/test_lookups.py compares both.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import ClassVar, TypeVar

MAX_DEPTH = 8
MATCH_BY_ADDRESS = 1  # stands for ao2_match_by_addr() among addresses of functions
EXACT_SLOTS = 128
OCTAVE_SLOTS = 32
_FIRST_EXPONENT = 7  # EXACT_SLOTS == 1 << 7
_SUB_BITS = 5  # OCTAVE_SLOTS == 1 << 5
R = TypeVar("R", bound="Record")


class Place(IntEnum):
    """What a probe's place is; the entry functions come first."""

    FIND = 0
    CALLBACK = 1
    CALLBACK_DATA = 2
    UNLINK = 3
    WEAKPROXY_FIND = 4
    TRAVERSAL_FIRST = 5
    TRAVERSAL_END = 6
    TRAVERSAL_UNLOCK = 7
    COMPARISON = 8
    TRAVERSAL_NEXT = 9
    INSERT = 10
    TRAVERSAL_EXHAUSTED = 11


class Verdict(IntEnum):
    """Why a measured lookup's comparisons are, or are not, known."""

    VERIFIED = 0
    UNVERIFIED_WALK = 1
    UNVERIFIED_START = 2
    UNVERIFIED_LAYOUT = 3
    UNVERIFIED_MEMORY = 4
    UNVERIFIED_CHANGE = 5
    UNVERIFIED_RULE = 6
    CONTRADICTED_NODE = 7
    CONTRADICTED_END = 8
    CONTRADICTED_RESULT = 9
    TRUNCATED_WALK = 10


class LookupCounter(IntEnum):
    """Where a lookup's entry went."""

    FIRED = 0
    KEPT = 1
    TRUNCATED = 2
    INNER = 3
    BARE = 4
    DEPTH = 5
    THREADS = 6
    GROUPS = 7
    UNREADABLE = 8
    UNFINISHED = 9
    STACKLESS = 10
    STACKS = 11


class Metric(IntEnum):
    """What a histogram counts."""

    COMPARISONS = 0
    SORT_CALLS = 1
    DURATION = 2


class Kind(IntEnum):
    """Kind of a container's methods."""

    UNKNOWN = 0
    HASH = 1
    RBTREE = 2


STEPPED = 1 << 55
FUNCTION_BITS = 47


def cookie(place: Place, value: int, emulated: bool) -> int:
    """Return a probe's cookie; `value` has at most 55 bits."""
    return place << 56 | (0 if emulated else STEPPED) | value & (STEPPED - 1)


def function_value(address: int, pushed_bytes: int) -> int:
    """Return the value of a cookie that names a function, and what it has pushed at the place."""
    if address >> FUNCTION_BITS or pushed_bytes % 8 or pushed_bytes >= 1 << 11:
        raise ValueError(f"{address:#x}, {pushed_bytes} bytes do not fit into a cookie")
    return pushed_bytes // 8 << FUNCTION_BITS | address


def place_of(value: int) -> Place:
    """Return the place that a cookie names."""
    return Place(value >> 56)


def slot_range(slot: int) -> tuple[int, int]:
    """Return (low, high) of a histogram slot: it counts values v with low <= v < high."""
    if slot < EXACT_SLOTS:
        return slot, slot + 1
    octave, part = divmod(slot - EXACT_SLOTS, OCTAVE_SLOTS)
    width = 1 << (octave + _FIRST_EXPONENT - _SUB_BITS)
    low = (OCTAVE_SLOTS + part) * width
    return low, low + width


@dataclass(frozen=True, slots=True)
class Record:
    """A struct of the header: its members in their order, laid out by `FORMAT`."""

    FORMAT: ClassVar[struct.Struct]

    def encode(self) -> bytes:
        """Return the struct's bytes; None is 0 there."""
        return self.FORMAT.pack(*(getattr(self, field.name) or 0 for field in fields(self)))

    @classmethod
    def decode(cls: type[R], data: bytes) -> R:
        """Return the struct that bytes hold."""
        return cls(*cls.FORMAT.unpack(data))


@dataclass(frozen=True, slots=True)
class Layout(Record):
    """How containers with one v_table lie in memory; offsets in bytes."""

    FORMAT = struct.Struct("<5I4x")

    kind: Kind
    buckets_offset: int
    bucket_bytes: int
    bucket_count_offset: int
    root_offset: int = 0


@dataclass(frozen=True, slots=True)
class Control(Record):
    """What user space sets for the programs; see struct control."""

    FORMAT = struct.Struct("<4Q9I4x")

    window: int
    admit_until_ns: int
    allowance_ns: int
    walk_allowance_ns: int
    trap_ns: int
    stepped_trap_ns: int
    return_trap_ns: int
    program_ns: int
    node_ns: int
    stack_ns: int
    stack_share: int
    return_share: int
    predicts: bool


@dataclass(frozen=True, slots=True)
class TraversalCode(Record):
    """Addresses in the target: the code of containers, and what in it puts elements in."""

    FORMAT = struct.Struct("<6Q")

    start: int
    bytes: int
    hash_insert_start: int
    hash_insert_bytes: int
    tree_insert_start: int
    tree_insert_bytes: int


@dataclass(frozen=True, slots=True)
class TraversalFrame(Record):
    """Where a traversal has its frame, below where the lookup returns to."""

    FORMAT = struct.Struct("<4Q")

    traversal_bytes: int
    state_bytes: int
    agreed: int
    differed: int


@dataclass(frozen=True, slots=True)
class WindowState(Record):
    """What the programs report about the open window; see struct window_state."""

    FORMAT = struct.Struct("<3Qq4Q")

    spent_ns: int
    closed_ns: int | None  # when the first lookup was refused
    admitted: int
    in_flight: int
    trap_ns: int
    refused: int  # entries since the window was full
    put_off: int  # long chains that were not walked because too little was left
    walk_ns: int

    @classmethod
    def decode(cls, data: bytes) -> WindowState:
        """Return the struct that bytes hold."""
        spent, closed, admitted, in_flight, *rest = cls.FORMAT.unpack(data)
        # A lookup that leaves while user space resets the counter makes it -1 for a moment.
        return cls(spent, closed or None, admitted, max(in_flight, 0), *rest)


NO_WINDOW = WindowState(0, None, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class CountingControl(Record):
    """What user space sets for counting the entries of lookups; see struct counting_control."""

    FORMAT = struct.Struct("<3Q")

    is_open: bool
    allowance_ns: int
    program_ns: int


@dataclass(frozen=True, slots=True)
class CountingState(Record):
    """What the program that counts reports; see struct counting_state."""

    FORMAT = struct.Struct("<4Q")

    spent_ns: int
    trap_ns: int
    used_up_ns: int  # the last allowance that was spent
    lost: int  # entries for whose group there was no room


@dataclass(frozen=True, slots=True)
class GroupKey(Record):
    """What lookups are aggregated by; `file` and `function` are addresses of strings."""

    FORMAT = struct.Struct("<4Q4I")

    container: int
    comparator: int
    file: int
    function: int
    line: int
    flags: int
    entry: int
    buckets: int = 0  # of a hash container whose layout is known


@dataclass(frozen=True, slots=True)
class Group(Record):
    """Sums over the lookups of one group; see struct group."""

    FORMAT = struct.Struct(f"<2Q{len(Verdict)}Q8Q2I2Q")

    id: int
    v_table: int
    verdicts: tuple[int, ...]  # by Verdict
    hits: int
    misses: int
    comparisons_total: int
    comparisons_max: int
    sort_calls_total: int
    sort_calls_max: int
    duration_total_ns: int
    duration_max_ns: int
    elements_first: int
    elements_last: int
    agreed: int = 0
    disagreed: int = 0

    @classmethod
    def decode(cls, data: bytes) -> Group:
        """Return the struct that bytes hold."""
        values = cls.FORMAT.unpack(data)
        after = 2 + len(Verdict)
        return cls(values[0], values[1], values[2:after], *values[after:])


@dataclass(frozen=True, slots=True)
class HistogramKey(Record):
    """One slot of one histogram."""

    FORMAT = struct.Struct("<Q2I")

    group: int
    metric: int  # Metric
    slot: int


@dataclass(frozen=True, slots=True)
class LookupStackKey(Record):
    """Which lookups a call stack made."""

    FORMAT = struct.Struct("<5Q2I")

    stack: int
    check: int
    container: int
    comparator: int
    file: int
    entry: int
    buckets: int

    @property
    def stack_name(self) -> int:
        """What names the stack among all."""
        return self.check << 64 | self.stack


@dataclass(frozen=True, slots=True)
class LookupStack(Record):
    """How many lookups a call stack stands for, and what they compared."""

    FORMAT = struct.Struct("<2Q")

    lookups: int
    comparisons: int
