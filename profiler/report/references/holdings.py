"""For how long accounts are open in objects, and what holds the reference meanwhile. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from profiler.model.leaks import Fate
from profiler.report.references.accounts import Account
from profiler.report.references.histories import History, Step

_LINKED_MAX = 64  # links and accounts that link, of one object: each unlink looks through them


@dataclass(frozen=True, slots=True)
class Holding:
    """A time in which an account was open in one object; `until_ns` is None while it is."""

    history: History
    since_ns: int
    until_ns: int | None
    container: int | None  # that held the reference; where it is still open: that holds it now

    @property
    def open_ns(self) -> int:
        """Return for how long, as far as was seen; never below 0, whatever a file says."""
        until_ns = self.history.of.ended_ns if self.until_ns is None else self.until_ns
        return max(until_ns - self.since_ns, 0)


@dataclass(frozen=True, slots=True)
class Use:
    """What became of one account in all objects of a type."""

    openings: tuple[Holding, ...]  # of survivors
    closed: tuple[Holding, ...]

    @property
    def closed_max_ns(self) -> int | None:
        """Return the longest that it was open; None: it was closed in no object."""
        return max((one.open_ns for one in self.closed), default=None)


def uses_of(accounts: Sequence[Account], histories: Iterable[History]) -> list[Use]:
    """Return what became of each account; no place takes in two of them, or gives in two."""
    takers = {place: at for at, account in enumerate(accounts) for place in account.takes}
    givers = {place: at for at, account in enumerate(accounts) for place in account.gives}
    openings: list[list[Holding]] = [[] for _ in accounts]
    closed: list[list[Holding]] = [[] for _ in accounts]
    for history in histories:
        for at, steps in _parted(history.steps, takers, givers).items():
            for holding in _holdings(history, steps, accounts[at]):
                if holding.until_ns is not None:
                    closed[at].append(holding)
                elif history.of.fate is Fate.ALIVE and history.is_known:
                    openings[at].append(holding)
    return [Use(tuple(left), tuple(done)) for left, done in zip(openings, closed, strict=True)]


def _parted(
    steps: Iterable[Step], takers: Mapping[int, int], givers: Mapping[int, int]
) -> Mapping[int, list[Step]]:
    """Return the steps of each account, by its index, and those that unlink what it has linked."""
    parts: dict[int, list[Step]] = defaultdict(list)
    linking: set[int] = set()
    for step in steps:
        own = (takers if step.is_taken else givers).get(step.place)
        if own is not None:
            parts[own].append(step)
        if step.container is None and not step.is_by_container:
            continue
        if not step.is_taken:
            for at in linking - {own}:
                parts[at].append(step)
        elif own is not None and len(linking) < _LINKED_MAX:
            linking.add(own)
    return parts


def comparable(use: Use) -> Iterator[Use]:
    """Yield those that no container holds, that some does, and that one does which keeps all.

    For how long a container keeps what is linked, only what was in the same container tells.
    """
    closing = {one.container for one in use.closed}
    for is_held, is_closing in ((False, True), (True, True), (True, False)):
        openings = tuple(
            one
            for one in use.openings
            if (one.container is not None) is is_held
            and (not is_held or (one.container in closing) is is_closing)
        )
        held = {one.container for one in openings}
        closed = (one for one in use.closed if not is_held or one.container in held)
        if openings:
            yield Use(openings, tuple(closed))


def _holdings(history: History, steps: Iterable[Step], account: Account) -> Iterator[Holding]:
    """Yield the times in which the account was open, by time.

    What was open when nobody looked was closed when the object was freed, at the latest.
    """
    since_ns, balance, last = history.of.born_ns, 0, None
    linked: list[int] = []
    for step in steps:
        change = _change(step, account)
        if not balance and change > 0:
            since_ns, last = step.time_ns, None
        last = _follow_links(step, account, linked) or last
        if balance > 0 and balance + change <= 0:
            yield Holding(history, since_ns, step.time_ns, last)
        balance += change
    if balance > 0 and history.is_freed:
        yield Holding(history, since_ns, history.of.ended_ns, last)
    elif balance > 0:
        yield Holding(history, since_ns, None, linked[-1] if linked else None)


def _follow_links(step: Step, account: Account, linked: list[int]) -> int | None:
    """Keep the containers that an object is in; return the one that it comes into."""
    if step.is_taken and step.place in account.takes and step.container is not None:
        linked.append(step.container)
        del linked[:-_LINKED_MAX]
        return step.container
    if not step.is_taken and step.container in linked:
        linked.remove(step.container)
    elif step.is_by_container and linked:
        linked.pop()
    return None


def _change(step: Step, account: Account) -> int:
    if step.is_taken:
        return step.count if step.place in account.takes else 0
    return -step.count if step.place in account.gives else 0
