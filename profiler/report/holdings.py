"""For how long accounts are open in objects, and what holds the reference meanwhile. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from profiler.model.leaks import Fate
from profiler.report.accounts import Account
from profiler.report.histories import History, Step


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


def use_of(account: Account, histories: Iterable[History]) -> Use:
    """Return what became of an account."""
    openings, closed = [], []
    for history in histories:
        for holding in _holdings(history, account):
            if holding.until_ns is not None:
                closed.append(holding)
            elif history.of.fate is Fate.ALIVE and history.is_known:
                openings.append(holding)
    return Use(tuple(openings), tuple(closed))


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


def _holdings(history: History, account: Account) -> Iterator[Holding]:
    """Yield the times in which the account was open, by time.

    What was open when nobody looked was closed when the object was freed, at the latest.
    """
    since_ns, balance, last = history.of.born_ns, 0, None
    linked: list[int] = []
    for step in history.steps:
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
