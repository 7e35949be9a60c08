"""References that are held far longer than others of their kind ever were. Pure.

A cache, a registration or a call holds references as well, until its time comes. So what counts is
how long an account stays open: for the objects in which it was closed, and for the survivors.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from profiler.model.leaks import Fate
from profiler.report.accounts import Account, Learnt
from profiler.report.histories import History, Step

# Survivors accuse together, by two laws for healthy times. Under both, what is seen must be rarer
# than once in 10,000 runs. Times may have no typical length (Pareto's law with exponent 1): each
# survivor then counts by the logarithm of how many times longer it is open than the longest that
# was closed. Or they may be longer than the recording, and few are closed by chance: with the rate
# at which they are closed, so many should have been since the longest.
_EVIDENCE = math.log(10_000)
AGREEING_MIN = 3  # two may be by chance
# Where some are short by design and some long, the long ones are not seen to be closed so soon.
_OPEN_MIN_NS = 30_000_000_000
# The shortest time that is compared with: we look at objects several times a second.
_CLOSED_MIN_NS = 500_000_000
# Where none was ever closed nobody knows when it should be.
_NEVER_CLOSED_NS = 90_000_000_000
# What is kept by design is mostly made at the start, by a reload, or when a phone registers at
# first. Then it ends. A leak goes on: as much is kept from the second half of the recording, but
# for chance.
_GOES_ON = 0.3


@dataclass(frozen=True, slots=True)
class Opening:
    """An account of one object that is open, and since when."""

    history: History
    since_ns: int
    container: int | None  # that holds the reference

    @property
    def open_ns(self) -> int:
        """Return for how long, as far as the object was seen."""
        return self.history.of.ended_ns - self.since_ns


@dataclass(frozen=True, slots=True)
class Overdue:
    """Objects of one type that lack the same: the account, who agrees, and what is usual."""

    type: int
    account: Account
    agreeing: tuple[Opening, ...]
    openings: tuple[Opening, ...]  # all that are open, also those that are young
    compared: int  # survivors of that age
    closed: tuple[History, ...]  # in which the same account was closed
    closed_max_ns: int | None  # None: it was closed in no object


@dataclass(frozen=True, slots=True)
class Use:
    """What became of one account in all objects of a type."""

    openings: tuple[Opening, ...]  # of survivors
    closed: tuple[History, ...]
    closed_ns: tuple[int, ...]  # for how long it was open each time

    @property
    def closed_max_ns(self) -> int | None:
        """Return the longest that it was open; None: it was closed in no object."""
        return max(self.closed_ns, default=None)


def find_overdue(learnt: Iterable[Learnt], middle_ns: int) -> tuple[Overdue, ...]:
    """Return what is overdue, for each type and account; middle_ns halves the recording."""
    found = (
        _overdue(one.type, account, one.histories, middle_ns)
        for one in learnt
        for account in one.accounts
    )
    return tuple(one for one in found if one)


def use_of(account: Account, histories: Iterable[History]) -> Use:
    """Return what became of an account."""
    openings, closed, longest = [], [], []
    for history in histories:
        times, since = _times(history, account)
        longest += times
        if times and history.is_known:
            closed.append(history)
        if since is not None and history.of.fate is Fate.ALIVE and history.is_known:
            openings.append(Opening(history, since, _holder(history, account)))
    return Use(tuple(openings), tuple(closed), tuple(longest))


def _overdue(
    kind: int, account: Account, histories: Sequence[History], middle_ns: int
) -> Overdue | None:
    use = use_of(account, histories)
    if use.closed_max_ns is None:
        limit_ns = _NEVER_CLOSED_NS
    else:
        limit_ns = max(_CLOSED_MIN_NS, use.closed_max_ns)
    held_ns = max(limit_ns, _OPEN_MIN_NS)
    agreeing = tuple(opening for opening in use.openings if opening.open_ns > held_ns)
    if len(agreeing) < AGREEING_MIN:
        return None
    if not _goes_on(use, agreeing, middle_ns):
        return None
    if use.closed_ns and not _is_evident(use, agreeing, limit_ns):
        return None
    compared = sum(
        history.of.fate is Fate.ALIVE and history.is_known and history.of.age_ns > held_ns
        for history in histories
    )
    return Overdue(kind, account, agreeing, use.openings, compared, use.closed, use.closed_max_ns)


def _is_evident(use: Use, agreeing: Sequence[Opening], limit_ns: int) -> bool:
    ratios = sum(math.log(opening.open_ns / limit_ns) for opening in agreeing)
    open_ns = sum(use.closed_ns) + sum(opening.open_ns for opening in use.openings)
    since_ns = sum(opening.open_ns - limit_ns for opening in agreeing)
    return min(ratios, len(use.closed_ns) * since_ns / open_ns) >= _EVIDENCE


def _goes_on(use: Use, agreeing: Iterable[Opening], middle_ns: int) -> bool:
    """Return whether as much is opened in the second half as is overdue from the first."""
    before = sum(opening.since_ns < middle_ns for opening in agreeing)
    return sum(opening.since_ns >= middle_ns for opening in use.openings) >= _GOES_ON * before


def _times(history: History, account: Account) -> tuple[list[int], int | None]:
    """Return for how long the account was open each time, and since when it is open.

    What was open when nobody looked was closed when the object was freed, at the latest.
    """
    times, since, balance = [], history.of.born_ns, 0
    for step in history.steps:
        change = _change(step, account)
        if not balance and change > 0:
            since = step.time_ns
        if balance > 0 and balance + change <= 0:
            times.append(step.time_ns - since)
        balance += change
    if balance <= 0:
        return times, None
    if history.is_freed:
        return [*times, history.of.ended_ns - since], None
    return times, since


def _holder(history: History, account: Account) -> int | None:
    """Return the container into which the object was linked last and that it is still in."""
    linked: list[int] = []
    for step in history.steps:
        if step.is_taken and step.place in account.takes and step.container is not None:
            linked.append(step.container)
        elif not step.is_taken and step.container in linked:
            linked.remove(step.container)
        elif step.is_by_container and linked:
            linked.pop()
    return linked[-1] if linked else None


def _change(step: Step, account: Account) -> int:
    if step.is_taken:
        return step.count if step.place in account.takes else 0
    return -step.count if step.place in account.gives else 0
