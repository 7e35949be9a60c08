"""What the history of an object says about the references to it. Pure.

A reference is taken at one place and given back at another. The place of a change is where the
caller of Asterisk's reference functions stands. What a container takes and gives back counts for
who linked and unlinked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from profiler.model.leaks import Change, ChangeKind, Fate, FollowedObject
from profiler.model.recording import CallSite

BIRTH = -1  # the place of the reference that an object is born with
# Sources of ao2 itself, which change references on behalf of who links, unlinks or searches.
_OWN_SOURCES = "astobj2"


@dataclass(frozen=True, slots=True)
class Step:
    """One change of references at a known place; `count` is above zero."""

    time_ns: int
    place: int  # index into sites, or BIRTH
    is_taken: bool
    count: int
    stack: int | None
    container: int | None = None  # that it was linked into or taken out of
    is_by_container: bool = False  # a container gave it back by itself, as when it ends


@dataclass(frozen=True, slots=True)
class History:
    """An object, its steps by time, and whether nothing else happened to its references."""

    of: FollowedObject
    steps: tuple[Step, ...]
    is_known: bool

    @property
    def is_freed(self) -> bool:
        """Return whether the object is gone."""
        return self.of.fate is Fate.FREED

    @property
    def is_closed(self) -> bool:
        """Return whether all references of a freed object were seen to be given back."""
        return self.is_freed and self.is_known and not self.of.balance


def history_of(followed: FollowedObject, sites: Sequence[CallSite]) -> History:
    """Return what is known of an object's references."""
    birth = Step(followed.born_ns, BIRTH, is_taken=True, count=1, stack=followed.stack)
    return History(followed, (birth, *_steps(followed, sites)), _is_known(followed))


def _is_known(followed: FollowedObject) -> bool:
    """Return whether the history explains the number of references at its end.

    While nobody looked, references may have been taken and given back; only the sum is known.
    """
    gaps = (change for change in followed.history if change.kind is ChangeKind.GAP)
    if followed.lost_changes or any(gap.delta for gap in gaps):
        return False
    return followed.references is None or followed.references == followed.balance


def _steps(followed: FollowedObject, sites: Sequence[CallSite]) -> Iterator[Step]:
    moves: dict[int, Change] = {}  # the last link or unlink of each thread
    for change in followed.history:
        if change.kind in (ChangeKind.LINK, ChangeKind.UNLINK):
            moves[change.tid] = change
        if change.kind is not ChangeKind.REFERENCE or change.site is None or not change.delta:
            continue
        move = _move_of(change, moves, sites)
        if move:
            del moves[change.tid]
        yield Step(
            time_ns=change.time_ns,
            place=move.site if move and move.site is not None else change.site,
            is_taken=change.delta > 0,
            count=abs(change.delta),
            stack=change.stack,
            container=move.container if move else None,
            is_by_container=move is None and change.delta < 0 and _is_own(change.site, sites),
        )


def _move_of(change: Change, moves: dict[int, Change], sites: Sequence[CallSite]) -> Change | None:
    """Return the link or unlink that a change of references is part of."""
    move = moves.get(change.tid)
    if move is None or change.site is None:
        return None
    if move.kind is ChangeKind.LINK:
        return move if change.delta > 0 and change.site == move.site else None
    is_part = _is_own(change.site, sites) or change.site == move.site
    return move if change.delta < 0 and is_part else None


def _is_own(site: int, sites: Sequence[CallSite]) -> bool:
    return (sites[site].file or "").startswith(_OWN_SOURCES)
