"""Who waits behind whom, by the long waits of a recording: circles, and who is at the root. Pure.

A wait and what its holder waited for are one chain as long as both lasted at once. A circle that
stood so long that all were looked at twice meanwhile did not move: it is a deadlock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from profiler.model.off_cpu_profile import LongWaitUse

_STOOD_NS = 2_000_000_000  # threads are looked at about once a second


@dataclass(frozen=True, slots=True)
class Circle:
    """Threads that waited for each other, each for a lock of the next one."""

    waits: tuple[LongWaitUse, ...]
    stood_ns: int
    behind: tuple[LongWaitUse, ...]  # who waited for a lock of these, or of those

    @property
    def is_over(self) -> bool:
        """Return whether one of them went on."""
        return any(wait.has_ended for wait in self.waits)


@dataclass(frozen=True, slots=True)
class Chain:
    """Waits that all end when one thread, the root, gives back what it has."""

    root: int | None  # its tid; None: nobody knows
    waits: tuple[LongWaitUse, ...]  # the longest first
    root_wait: LongWaitUse | None  # what the root itself waited for meanwhile

    @property
    def longest_ns(self) -> int:
        """The longest wait of all, also of the root's own."""
        own_ns = 0 if self.root_wait is None else self.root_wait.duration_ns
        return max(own_ns, *(wait.duration_ns for wait in self.waits))


def find_chains(waits: Iterable[LongWaitUse]) -> tuple[tuple[Circle, ...], tuple[Chain, ...]]:
    """Return the circles, and the chains that lead into none."""
    by_tid: dict[int, list[LongWaitUse]] = defaultdict(list)
    for wait in waits:
        by_tid[wait.tid].append(wait)
    circles: dict[frozenset[int], Circle] = {}
    chains: dict[int | None, Chain] = {}
    for wait in (one for many in by_tid.values() for one in many if one.lock is not None):
        way = _Way(wait, by_tid)
        if way.circle:
            key = frozenset(one.tid for one in way.circle)
            known = circles.get(key, Circle(way.circle, _overlap_ns(*way.circle), ()))
            behind = () if wait.tid in key else (wait,)
            circles[key] = replace(known, behind=(*known.behind, *behind))
        else:
            root = way.waits[-1].holder_tid
            chain = chains.get(root, Chain(root, (), None))
            longest = sorted((*chain.waits, wait), key=lambda one: -one.duration_ns)
            chains[root] = Chain(root, tuple(longest), way.root_wait or chain.root_wait)
    return tuple(circles.values()), tuple(chains.values())


class _Way:
    """The waits from one to the root, what that waited for; or the circle that they lead into."""

    def __init__(self, wait: LongWaitUse, by_tid: Mapping[int, Sequence[LongWaitUse]]) -> None:
        self.waits = [wait]
        self.circle: tuple[LongWaitUse, ...] = ()
        self.root_wait: LongWaitUse | None = None
        while not (self.circle or self.root_wait):
            last = self.waits[-1]
            holders = by_tid.get(last.holder_tid, ()) if last.holder_tid is not None else ()
            following = _meanwhile(holders, last)
            if following is None:
                return
            if following in self.waits:
                circle = self.waits[self.waits.index(following) :]
                if _overlap_ns(*circle) < _STOOD_NS:
                    return
                self.circle = tuple(circle)
            elif following.lock is None:
                self.root_wait = following
            else:
                self.waits.append(following)


def _meanwhile(waits: Iterable[LongWaitUse], other: LongWaitUse) -> LongWaitUse | None:
    """Return which of a thread's waits lasted longest at the same time as another one."""
    found = max(waits, key=lambda one: _overlap_ns(one, other), default=None)
    return found if found is not None and _overlap_ns(found, other) > 0 else None


def _overlap_ns(*waits: LongWaitUse) -> int:
    """Return for how long all of them lasted at once."""
    began_ns = max(one.since_ns for one in waits)
    ended_ns = min(one.until_ns for one in waits)
    return ended_ns - began_ns
