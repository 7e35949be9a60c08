"""Objects followed from their birth: what one run saw of them, and what a report shows.

An ao2 object lives until its last reference is given back. `LeaksRecording` is what is kept,
`LeaksProfile` is what is shown. Times are integer nanoseconds of CLOCK_MONOTONIC. Indices point
into the tuples of the same recording. `None` is unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from profiler.model.recording import (
    Accounting,
    CallSite,
    Cost,
    Frame,
    Host,
    MappedFile,
    Probe,
    Stack,
    Target,
    Window,
)

LEAKS_SCHEMA = "ebpf-prof/leaks/1"


class Fate(Enum):
    """What became of an object that was followed from its birth."""

    FREED = "freed"
    ALIVE = "alive"  # when the recording ended
    LOST = "lost"  # not known: its address may have been used again, or the target has ended


class ChangeKind(Enum):
    """What happened to an object."""

    REFERENCE = "reference"  # taken (delta > 0) or given back (delta < 0)
    LINK = "link"  # into a container; the reference that this takes is a change of its own
    UNLINK = "unlink"
    GAP = "gap"  # nobody looked; `delta` is what changed meanwhile in all


@dataclass(frozen=True, slots=True)
class Change:
    """One change in an object's history.

    `before`: references just before it, as read from memory. Where two threads change them at the
    same time, this may be off by what the other one does; `delta` is always exact. A gap lasts from
    the change before it to `time_ns`.
    """

    time_ns: int
    kind: ChangeKind
    delta: int  # of references; 0 for LINK and UNLINK
    before: int | None
    site: int | None  # index into sites; None for a gap
    stack: int | None  # index into stacks; None: not unwound
    tid: int
    container: int | None = None  # address; only LINK and UNLINK


@dataclass(frozen=True, slots=True)
class ObjectType:
    """What is allocated alike: objects of one destructor and one size from one place."""

    destructor: int | None  # index into frames; None: these objects have no destructor
    site: int  # index into sites: where they are allocated
    size_bytes: int  # that were asked for, without Asterisk's own header


@dataclass(frozen=True, slots=True)
class NameCount:
    """A name that objects carry, and how many do. With `--show-keys` it is as it stands there.

    Else it has N for numbers, and is not there if fewer than three names that differ are alike so.
    """

    name: str  # "pjsip/registrar-N"
    count: int


@dataclass(frozen=True, slots=True)
class TypeNames:
    """What some living objects of a type are called."""

    type: int  # index into types
    read: int  # names in all, also such as are not listed
    names: tuple[NameCount, ...]  # most frequent first


@dataclass(frozen=True, slots=True)
class FollowedObject:
    """One object, born while probes were open and chosen to be followed.

    It had one reference at birth. `ended_ns` is when it was freed, or when it was last seen alive.
    An end that a probe saw is exact; else the object was gone when it was looked at next.
    """

    type: int  # index into types
    address: int
    born_ns: int
    tid: int
    stack: int | None  # of the allocation, index into stacks
    fate: Fate
    ended_ns: int
    is_end_exact: bool
    references: int | None  # when it was last seen alive; None: it was freed
    lost_changes: int  # that were seen by a probe and found no room in the history
    history: tuple[Change, ...]  # by time

    @property
    def age_ns(self) -> int:
        """How long it lived, as far as that was seen."""
        return self.ended_ns - self.born_ns

    @property
    def is_whole(self) -> bool:
        """Return whether every change from birth on is in the history."""
        gaps = any(change.kind is ChangeKind.GAP for change in self.history)
        return not self.lost_changes and not gaps

    @property
    def balance(self) -> int:
        """References that should be left, by the history."""
        return 1 + sum(change.delta for change in self.history)


@dataclass(frozen=True, slots=True)
class BirthCount:
    """How many objects of a type were born in windows in which births were counted."""

    type: int
    born: int  # that were counted; some of them were chosen to be followed


@dataclass(frozen=True, slots=True)
class LinkCount:
    """Links or unlinks of one container from one place, in all windows."""

    kind: ChangeKind  # LINK or UNLINK
    container: int  # address
    site: int
    count: int


@dataclass(frozen=True, slots=True)
class WatchedContainer:
    """A container that objects were linked into or taken out of, and its size over time."""

    address: int
    kind: str  # as in recording.Container
    comparator: int | None  # index into frames
    hash_function: int | None
    elements: tuple[tuple[int, int], ...]  # (time_ns, elements), by time


@dataclass(frozen=True, slots=True)
class WatchWindow:
    """A stretch in which every change of followed objects was recorded, and what it took."""

    start_ns: int
    end_ns: int
    cost_ns: int


@dataclass(frozen=True, slots=True)
class LeaksRecording:
    """Everything that one run of `ebpf-prof leaks` observed.

    births: fired = kept (followed) + filtered (not chosen, or not done when a stretch ended)
    + lost (no room).
    changes: those of followed objects that probes saw; fired = kept + lost.
    """

    schema: str
    tool_version: str
    command: tuple[str, ...]
    started_at: str  # ISO 8601 wall clock, UTC
    target: Target
    window: Window
    stopped_by: str  # as in recording.Recording
    files: tuple[MappedFile, ...]
    frames: tuple[Frame, ...]
    stacks: tuple[Stack, ...]
    sites: tuple[CallSite, ...]
    types: tuple[ObjectType, ...]
    objects: tuple[FollowedObject, ...]  # by birth
    births: tuple[BirthCount, ...]
    links: tuple[LinkCount, ...]
    containers: tuple[WatchedContainer, ...]
    windows: tuple[WatchWindow, ...]  # in which references were watched
    free_windows: tuple[WatchWindow, ...]  # in which the ends of objects were watched
    birth_accounting: Accounting
    change_accounting: Accounting
    probes: tuple[Probe, ...]
    cost: Cost
    warnings: tuple[str, ...]
    host: Host | None = None
    names: tuple[TypeNames, ...] = ()


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Where others gave a reference back: how often, in the mean, and how often the survivors."""

    site: str  # "chan_sip.c:17102 parse_register_contact"
    others_have: float
    survivors_have: float


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who got a reference from those who took it: seen where others got it so and gave it back."""

    name: str  # of the function that does not give back what the survivors lack
    others: tuple[str, ...]  # functions that do; the same one, where it does so sometimes
    releases: tuple[str, ...]  # places at which it gives back other references to such objects


@dataclass(frozen=True, slots=True)
class TypeSummary:
    """Objects of one type: born = freed + alive + lost."""

    name: str  # "sip_peer (~sip_destroy_peer_fn)"
    allocated_at: str  # "chan_sip.c:31234 build_peer"
    born: int
    freed: int
    alive: int
    lost: int
    freed_age_p99_ns: int | None  # None: none was freed
    alive_age_min_ns: int | None
    alive_age_max_ns: int | None
    names_read: int = 0  # of living ones
    names: tuple[NameCount, ...] = ()  # what they have in common


@dataclass(frozen=True, slots=True)
class Held:
    """Objects that another suspect's survivors keep alive."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Suspect:
    """Objects of one type that keep a reference far longer than others ever did."""

    summary: TypeSummary
    taken_at: tuple[str, ...]  # where it was taken: at one of these places
    given_back_at: tuple[GivenBack, ...]  # empty: no object was seen to give it back
    agreeing: int  # survivors that lack it
    compared: int  # survivors of that age whose histories are known
    held_min_ns: int  # how long the survivors have kept the reference, at least
    closed_max_ns: int | None  # the longest that it was kept and given back; None: it never was
    stack: tuple[str, ...]  # of the place where it was taken, leaf first; empty: not unwound
    receiver: Receiver | None  # None: not known, the reference need not have been passed on
    containers: tuple[str, ...]  # that hold the survivors
    held_by: str | None  # the suspect that should give it back, but is not freed itself
    holds: tuple[Held, ...]  # what lives on with the survivors


@dataclass(frozen=True, slots=True)
class LinkPlace:
    """Where objects are linked into a container, or unlinked, and how often that was seen."""

    site: str  # "taskprocessor.c:1083 __allocate_taskprocessor"
    count: int


@dataclass(frozen=True, slots=True)
class ElementType:
    """Elements of one type that were followed from birth and are in a container."""

    name: str
    count: int
    suspect: str | None  # that keeps them: their own type, or what holds them
    names_read: int = 0
    names: tuple[NameCount, ...] = ()


@dataclass(frozen=True, slots=True)
class GrowingContainer:
    """A container that grows without limit; of followed objects: linked = kept + left + unknown."""

    name: str  # "taskprocessors (~cmp_fn@ast_tps_init)"
    elements_start: int
    elements_end: int
    per_minute: float
    linked_at: tuple[LinkPlace, ...]  # most often first; in windows
    unlinked_at: tuple[LinkPlace, ...]
    stack: tuple[str, ...]  # of who links, nearest first; empty: not unwound
    linked: int
    kept: int  # never unlinked
    left: int  # unlinked or freed
    unknown: int  # what became of them
    elements: tuple[ElementType, ...]  # of those that are kept, most first


@dataclass(frozen=True, slots=True)
class LeaksProfile:
    """What a report of leaks shows: followed = freed + alive + lost."""

    schema: str
    tool_version: str
    started_at: str  # ISO 8601 wall clock, UTC
    target: Target
    window: Window
    stopped_by: str
    born: int  # in windows: followed, not chosen, or without room
    not_chosen: int
    no_room: int
    followed: int
    freed: int
    alive: int
    lost: int
    changes: int  # of references to followed objects, seen by probes
    changes_lost: int  # of these, for which there was no room
    types: tuple[TypeSummary, ...]  # most survivors first
    suspects: tuple[Suspect, ...]  # those that nobody else holds first, then by survivors
    containers: tuple[GrowingContainer, ...]  # fastest first
    cost_ratio: float  # of one CPU
    budget_ratio: float | None
    warnings: tuple[str, ...]
