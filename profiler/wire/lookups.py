"""Mirror of bpf/wire.h: bytes of the lookup programs to values and back.

Layouts, order and constants are those of the header; tests/unit/wire/test_lookups.py compares both.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

MAX_DEPTH = 8
MATCH_BY_ADDRESS = 1  # stands for ao2_match_by_addr() among addresses of functions
EXACT_SLOTS = 128
OCTAVE_SLOTS = 32
_FIRST_EXPONENT = 7  # EXACT_SLOTS == 1 << 7
_SUB_BITS = 5  # OCTAVE_SLOTS == 1 << 5


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


_LAYOUT = struct.Struct("<5I4x")
_CONTROL = struct.Struct("<4Q9I4x")
_TRAVERSAL_FRAME = struct.Struct("<4Q")
_WINDOW_STATE = struct.Struct("<10Q")
_GROUP_KEY = struct.Struct("<4Q4I")
_GROUP = struct.Struct(f"<2Q{len(Verdict)}Q8Q2I2Q")
_HISTOGRAM_KEY = struct.Struct("<Q2I")
_LOOKUP_STACK_KEY = struct.Struct("<4Q")
_LOOKUP_STACK = struct.Struct("<2Q")

SIZES = {
    "layout": _LAYOUT.size,
    "control": _CONTROL.size,
    "traversal_frame": _TRAVERSAL_FRAME.size,
    "window_state": _WINDOW_STATE.size,
    "group_key": _GROUP_KEY.size,
    "group": _GROUP.size,
    "histogram_key": _HISTOGRAM_KEY.size,
    "lookup_stack_key": _LOOKUP_STACK_KEY.size,
    "lookup_stack": _LOOKUP_STACK.size,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How containers with one v_table lie in memory; offsets in bytes."""

    kind: Kind
    buckets_offset: int
    bucket_bytes: int
    bucket_count_offset: int
    root_offset: int = 0

    def encode(self) -> bytes:
        """Return struct layout."""
        return _LAYOUT.pack(
            self.kind,
            self.buckets_offset,
            self.bucket_bytes,
            self.bucket_count_offset,
            self.root_offset,
        )


@dataclass(frozen=True, slots=True)
class Control:
    """What user space sets for the programs; see struct control."""

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

    def encode(self) -> bytes:
        """Return struct control."""
        return _CONTROL.pack(
            self.window,
            self.admit_until_ns,
            self.allowance_ns,
            self.walk_allowance_ns,
            self.trap_ns,
            self.stepped_trap_ns,
            self.return_trap_ns,
            self.program_ns,
            self.node_ns,
            self.stack_ns,
            self.stack_share,
            self.return_share,
            self.predicts,
        )


@dataclass(frozen=True, slots=True)
class TraversalFrame:
    """Where a traversal has its frame, below where the lookup returns to; see struct frame."""

    traversal_bytes: int
    state_bytes: int
    agreed: int
    differed: int


def decode_traversal_frame(data: bytes) -> TraversalFrame:
    """Return struct frame."""
    return TraversalFrame(*_TRAVERSAL_FRAME.unpack(data))


@dataclass(frozen=True, slots=True)
class WindowState:
    """What the programs report about the open window; see struct window_state."""

    spent_ns: int
    closed_ns: int | None  # when the first lookup was refused
    admitted: int
    in_flight: int
    trap_ns: int
    nodes: int
    refused: int  # entries since the window was full
    put_off: int  # long chains that were not walked because too little was left
    walk_ns: int
    entry_count: int = 0  # entries, in windows that only count

    def encode(self) -> bytes:
        """Return struct window_state."""
        return _WINDOW_STATE.pack(
            self.spent_ns,
            self.closed_ns or 0,
            self.admitted,
            self.in_flight,
            self.trap_ns,
            self.nodes,
            self.refused,
            self.put_off,
            self.walk_ns,
            self.entry_count,
        )


def decode_window_state(data: bytes) -> WindowState:
    """Return struct window_state."""
    spent, closed, admitted, in_flight, *rest = _WINDOW_STATE.unpack(data)
    # A lookup that leaves while user space resets the counter makes it -1 for a moment.
    in_flight = in_flight if in_flight < 1 << 63 else 0
    return WindowState(spent, closed or None, admitted, in_flight, *rest)


NO_WINDOW = WindowState(0, None, 0, 0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What lookups are aggregated by; `file` and `function` are addresses of strings."""

    container: int
    comparator: int
    file: int
    function: int
    line: int
    flags: int
    entry: int


def decode_group_key(data: bytes) -> GroupKey:
    """Return struct group_key."""
    return GroupKey(*_GROUP_KEY.unpack(data)[:-1])


@dataclass(frozen=True, slots=True)
class Group:
    """Sums over the lookups of one group; see struct group."""

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


def decode_group(data: bytes) -> Group:
    """Return struct group."""
    values = _GROUP.unpack(data)
    after = 2 + len(Verdict)
    return Group(values[0], values[1], values[2:after], *values[after:])


@dataclass(frozen=True, slots=True)
class HistogramKey:
    """One slot of one histogram."""

    group: int
    metric: Metric
    slot: int


def decode_histogram_key(data: bytes) -> HistogramKey:
    """Return struct histogram_key."""
    group, metric, slot = _HISTOGRAM_KEY.unpack(data)
    return HistogramKey(group, Metric(metric), slot)


@dataclass(frozen=True, slots=True)
class LookupStackKey:
    """Which lookups a call stack made."""

    stack: int
    container: int
    comparator: int
    entry: int


def decode_lookup_stack_key(data: bytes) -> LookupStackKey:
    """Return struct lookup_stack_key."""
    return LookupStackKey(*_LOOKUP_STACK_KEY.unpack(data))


def decode_lookup_stack(data: bytes) -> tuple[int, int]:
    """Return (lookups, comparisons) of struct lookup_stack, both weighted."""
    lookups, comparisons = _LOOKUP_STACK.unpack(data)
    return lookups, comparisons
