"""References that are held far longer than others of their kind ever were. Pure.

A cache, a registration or a call holds references as well, until its time comes. So what counts is
how long an account stays open: for the objects in which it was closed, and for the survivors.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from profiler.model.leaks import Fate
from profiler.report.references.accounts import Account
from profiler.report.references.holdings import Holding, Use, comparable, uses_of
from profiler.report.references.pace import Pace
from profiler.report.references.ways import Way

# Survivors accuse together, by two laws for healthy times. Under both, what is seen must be rarer
# than once in 10,000 runs. Times may have no typical length (Pareto's law with exponent 1): each
# survivor then counts by the logarithm of how many times longer it is open than the longest that
# was closed. Or they may be longer than the recording, and few are closed by chance: with the rate
# at which they are closed, so many should have been since the longest.
_EVIDENCE = math.log(10_000)
_AGREEING_MIN = 3  # two may be by chance
# Where some are short by design and some long, the long ones are not seen to be closed so soon.
_OPEN_MIN_NS = 30_000_000_000
# The shortest time that is compared with: we look at objects several times a second.
_CLOSED_MIN_NS = 500_000_000
# Where none was ever closed nobody knows when it should be.
_NEVER_CLOSED_NS = 90_000_000_000


@dataclass(frozen=True, slots=True)
class Overdue:
    """Objects of one type that lack the same: the account, who agrees, and what is usual."""

    type: int
    account: Account
    agreeing: tuple[Holding, ...]
    openings: tuple[Holding, ...]  # all that are open, also those that are young
    compared: int  # survivors of that age
    closed: tuple[Holding, ...]  # what they are compared with
    # What was taken there and given back: the same, or where there is none, by other accounts.
    examples: tuple[tuple[Account, Holding], ...]

    @property
    def closed_max_ns(self) -> int | None:
        """Return the longest that it was open; None: it was closed in no object."""
        return max((one.open_ns for one in self.closed), default=None)


def find_overdue(every: Iterable[Way], pace: Pace) -> Iterator[Overdue]:
    """Yield what is overdue, for each type and account."""
    types: dict[int, list[Way]] = defaultdict(list)
    for way in every:
        types[way.type].append(way)
    for ways in types.values():
        seen = _Seen.of(ways)
        for at, own in enumerate(seen.uses):
            elsewhere = partial(seen.elsewhere, at)
            for use in comparable(own.use):
                agreeing = _agreeing(use, elsewhere, pace)
                if agreeing:
                    yield _overdue(own.account, use, agreeing, elsewhere(), ways)


@dataclass(frozen=True, slots=True)
class _AccountUse:
    """What became of an account of a way."""

    way: Way
    account: Account
    use: Use


@dataclass(frozen=True, slots=True)
class _Seen:
    """What became of all accounts of a type, and which of them take at each place."""

    uses: Sequence[_AccountUse]
    taking: Mapping[int, Sequence[int]]  # indices into uses

    @classmethod
    def of(cls, ways: Iterable[Way]) -> _Seen:
        """Return that of a type."""
        uses = [
            _AccountUse(way, account, use)
            for way in ways
            for account, use in zip(way.accounts, uses_of(way.accounts, way.histories), strict=True)
        ]
        taking: dict[int, list[int]] = defaultdict(list)
        for at, one in enumerate(uses):
            for place in one.account.takes:
                taking[place].append(at)
        return cls(uses, taking)

    def elsewhere(self, own: int) -> list[tuple[Account, Use]]:
        """Return what became of what objects that went other ways took at the same places."""
        places = self.uses[own].account.takes
        others = (self.uses[at] for at in sorted({at for on in places for at in self.taking[on]}))
        return [(one.account, one.use) for one in others if one.way is not self.uses[own].way]


def _overdue(
    account: Account,
    use: Use,
    agreeing: tuple[Holding, ...],
    elsewhere: Iterable[tuple[Account, Use]],
    ways: Sequence[Way],
) -> Overdue:
    held_ns = _held_ns(use)
    examples = [(account, one) for one in use.closed]
    return Overdue(
        type=ways[0].type,
        account=account,
        agreeing=agreeing,
        openings=use.openings,
        compared=sum(
            one.is_known and one.of.fate is Fate.ALIVE and one.of.age_ns > held_ns
            for way in ways
            for one in way.histories
        ),
        closed=use.closed,
        examples=tuple(
            examples or ((other, one) for other, its in elsewhere for one in its.closed)
        ),
    )


def _agreeing(
    use: Use, elsewhere: Callable[[], Iterable[tuple[Account, Use]]], pace: Pace
) -> tuple[Holding, ...]:
    """Return the survivors that keep it for too long, if they are evident and go on."""
    unusual = _unusual(use)
    growing = _growing(unusual, pace)
    held_ns = _held_ns(use)
    agreeing = tuple(one for one in unusual if one.open_ns > held_ns and one.container in growing)
    if len(agreeing) < _AGREEING_MIN or not _is_evident(use, agreeing):
        return ()
    if None in growing:  # the leak may go on by another way
        unusual += [one for _, other in elsewhere() for one in _unusual(other)]
    usual_ns = use.closed_max_ns or 0
    kept_ns = [one.since_ns for one in unusual if one.open_ns > usual_ns]
    return agreeing if pace.goes_on(kept_ns, pace.end_ns - usual_ns) else ()


def _unusual(use: Use) -> list[Holding]:
    """Return what is open for longer than it ever was until it was closed."""
    usual_ns = use.closed_max_ns or 0
    return [one for one in use.openings if one.open_ns > usual_ns]


def _growing(unusual: Iterable[Holding], pace: Pace) -> set[int | None]:
    """Return the containers that grow, and None if some are held by none."""
    linked: dict[int | None, list[int]] = defaultdict(list)
    for one in unusual:
        linked[one.container].append(one.since_ns)
    return {at for at, since in linked.items() if at is None or pace.grows(at, since)}


def _limit_ns(use: Use) -> int:
    if use.closed_max_ns is None:
        return _NEVER_CLOSED_NS
    return max(_CLOSED_MIN_NS, use.closed_max_ns)


def _held_ns(use: Use) -> int:
    return max(_limit_ns(use), _OPEN_MIN_NS)


def _is_evident(use: Use, agreeing: Sequence[Holding]) -> bool:
    """Return whether they are no chance, where it is known how long others keep it."""
    if not use.closed:
        return True
    limit_ns = _limit_ns(use)
    ratios = sum(math.log(one.open_ns / limit_ns) for one in agreeing)
    open_ns = sum(one.open_ns for one in (*use.closed, *use.openings))
    since_ns = sum(one.open_ns - limit_ns for one in agreeing)
    return min(ratios, len(use.closed) * since_ns / open_ns) >= _EVIDENCE
