"""What happened to each object that is followed, from the events of the kernel's programs. Pure.

Events come from several CPUs and are put in order of their time when all are there. Memory is
bounded: so many objects, and so many changes of each (in the kernel's programs).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from profiler.model.leaks import Fate, WatchWindow
from profiler.wire.leaks import ObjectEvent, ObjectPlace


@dataclass(slots=True)
class ObservedObject:
    """One object that is followed, as far as it is known."""

    id: int
    address: int
    born_ns: int
    destructor: int
    size_bytes: int
    events: list[bytes] = field(default_factory=list)  # the birth and all changes, not in order
    fate: Fate = Fate.ALIVE
    ended_ns: int = 0
    is_end_exact: bool = False
    references: int | None = 1  # when it was last seen alive
    left: int = 1  # references by its changes since it is watched without a break
    changed_ns: int = 0  # when anything happened to it for the last time
    changes_lost: int = 0
    content: bytes | None = None  # its first bytes, when nobody watched any more

    def end(self, fate: Fate, time_ns: int, is_exact: bool) -> None:
        """Note what became of it."""
        self.fate, self.ended_ns, self.is_end_exact = fate, time_ns, is_exact
        self.references = None

    def ordered(self) -> list[ObjectEvent]:
        """Return its birth and all changes by time."""
        return sorted(map(ObjectEvent.decode, self.events), key=lambda event: event.time_ns)


class Histories:
    """All objects that were followed, and which of them live."""

    def __init__(self) -> None:
        self.objects: list[ObservedObject] = []
        self._by_id: dict[int, ObservedObject] = {}
        self._alive: dict[int, ObservedObject] = {}  # by address
        self.changes = 0  # that are kept
        self.unmatched = 0  # events of objects whose birth was lost

    @property
    def alive(self) -> list[ObservedObject]:
        """Return those that are not known to have ended."""
        return list(self._alive.values())

    @property
    def changed(self) -> list[ObservedObject]:
        """Return those of them to which something happened after the last look at them."""
        return [observed for observed in self.alive if observed.changed_ns == observed.ended_ns]

    def add(self, record: bytes, watched_since_ns: int = 0) -> None:
        """Take in one event, from a stretch in which all was watched since then."""
        event = ObjectEvent.decode(record)
        if event.place == ObjectPlace.ALLOC:
            self._add_birth(event, record)
            return
        found = self._by_id.get(event.id)
        if found is None:
            self.unmatched += 1
            return
        if event.place in (ObjectPlace.REFERENCE, ObjectPlace.FREE):
            found.changes_lost = max(found.changes_lost, event.size)
        if found.fate is not Fate.ALIVE and event.time_ns > found.ended_ns:
            return  # the destruction, whose beginning ended it
        found.events.append(record)
        self.changes += 1
        found.ended_ns = max(found.ended_ns, event.time_ns)
        if found.changed_ns < watched_since_ns:
            found.left = event.before
        found.left += event.delta
        found.changed_ns = max(found.changed_ns, event.time_ns)
        if event.place == ObjectPlace.FREE or (
            event.place == ObjectPlace.REFERENCE and _is_last(found, event)
        ):
            self.end(found, Fate.FREED, found.ended_ns, is_exact=True)

    def _add_birth(self, event: ObjectEvent, record: bytes) -> None:
        before = self._alive.get(event.object)
        if before is not None:  # what was there before has ended unseen
            self.end(before, Fate.FREED, event.time_ns, is_exact=False)
        born = ObservedObject(
            event.id, event.object, event.time_ns, event.container, event.size, [record]
        )
        born.ended_ns = born.changed_ns = event.time_ns
        self.objects.append(born)
        self._by_id[event.id] = born
        self._alive[event.object] = born

    def end(self, which: ObservedObject, fate: Fate, time_ns: int, is_exact: bool) -> None:
        """Note an end, of an object that has not ended before."""
        if self._alive.get(which.address) is which:
            del self._alive[which.address]
            which.end(fate, time_ns, is_exact)


def _is_last(observed: ObservedObject, event: ObjectEvent) -> bool:
    """Return whether no reference is left.

    Two threads that give back at the same time may both see what there was before; then only the
    sum of all changes tells. Else what comes to this address next would be taken for the object.
    """
    is_known = not observed.changes_lost
    return event.before + event.delta == 0 or (is_known and observed.left == 0)


@dataclass(frozen=True, slots=True)
class Step:
    """One change, or a stretch in which nobody looked (`event` is None then)."""

    time_ns: int
    delta: int
    before: int | None
    event: ObjectEvent | None


def steps(observed: ObservedObject, windows: Sequence[WatchWindow]) -> Iterator[Step]:
    """Yield what happened to an object after its birth, with gaps where nobody looked.

    `windows`: those in which references were watched, by time. In a gap, what its references became
    meanwhile is known: from the next change, from its end, or from the last look at it.
    """
    balance, last_ns = 1, observed.born_ns
    for event in observed.ordered():
        if event.place == ObjectPlace.ALLOC:
            continue
        is_free = event.place == ObjectPlace.FREE
        now = 0 if is_free else event.before
        if _is_interrupted(windows, last_ns, event.time_ns) and (balance != now or not is_free):
            yield Step(event.time_ns, now - balance, balance, None)
            balance = now
        last_ns = event.time_ns
        if not is_free:
            yield Step(event.time_ns, event.delta, event.before, event)
            balance += event.delta
    if observed.references is None and observed.fate is Fate.LOST:
        return
    left = observed.references or 0
    if _is_interrupted(windows, last_ns, observed.ended_ns):
        yield Step(observed.ended_ns, left - balance, balance, None)


def lost_changes(observed: ObservedObject, windows: Sequence[WatchWindow]) -> int:
    """Return how many changes of an object were lost, at least.

    What is gone has no reference left. Where its end was not seen and its history says otherwise,
    though it was watched without a break, one was lost.
    """
    if observed.fate is not Fate.FREED or observed.is_end_exact:
        return observed.changes_lost
    left = 1 + sum(step.delta for step in steps(observed, windows))
    return max(observed.changes_lost, int(left != 0))


def _is_interrupted(windows: Sequence[WatchWindow], start_ns: int, end_ns: int) -> bool:
    """Return whether nobody looked at some time between two moments.

    What a program saw while its window was closed on another CPU is behind that window's end.
    """
    if start_ns == end_ns:
        return False
    at = bisect_left(windows, start_ns, key=lambda window: window.end_ns)
    if at == len(windows):
        return True
    return start_ns < windows[at].start_ns or windows[at].end_ns < end_ns
