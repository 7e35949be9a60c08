"""Which objects go alike, and which accounts their references are in. Pure.

Freed objects tell which places belong together. Of survivors that gave a reference back where no
freed one did, nothing is known by these: they are ways of their own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from profiler.report.references.accounts import (
    Account,
    Column,
    Key,
    accounts_of,
    columns_of,
    pairs_of,
    split,
)
from profiler.report.references.histories import History, Step
from profiler.report.references.most import most
from profiler.report.references.places import Places

_OTHERS_MAX = 100  # ways of one type besides that of the freed ones: each is compared with each


@dataclass(frozen=True, slots=True)
class Way:
    """Objects of one type whose references go alike, and the accounts that their places are in."""

    type: int
    histories: tuple[History, ...]
    accounts: tuple[Account, ...]


def learn(histories: Iterable[History], places: Places) -> tuple[Way, ...]:
    """Return the ways of each type: first that of objects like those that were freed."""
    by_type: dict[int, list[History]] = defaultdict(list)
    for history in histories:
        by_type[history.of.type].append(history)
    everywhere = columns_of(one for own in by_type.values() for one in own if one.is_closed)
    return tuple(
        way for kind, own in by_type.items() for way in _ways(kind, own, everywhere, places)
    )


def _ways(
    kind: int,
    own: Sequence[History],
    everywhere: Mapping[Key, Column],
    places: Places,
) -> Iterator[Way]:
    """Yield those like the freed ones, then those that give back where none of these did."""
    columns = columns_of(one for one in own if one.is_closed)
    accounts = accounts_of(columns, everywhere, places)
    known = {
        True: {place for account in accounts for place in account.takes},
        False: {place for account in accounts for place in account.gives},
    }
    alike: list[History] = []
    others: dict[frozenset[Key], list[History]] = defaultdict(list)
    for history in own:
        unknown = [step for step in history.steps if step.place not in known[step.is_taken]]
        if not columns or _is_placed(unknown, places):
            alike.append(history)
        else:
            others[frozenset((step.place, step.is_taken) for step in history.steps)].append(history)
    yield Way(kind, tuple(alike), (*accounts, *_rest(alike, known, places)))
    for way in most(others.values(), _OTHERS_MAX, len):
        yield Way(kind, tuple(way), tuple(_rest(way, {True: set(), False: set()}, places)))


def _rest(
    histories: Sequence[History], known: Mapping[bool, set[int]], places: Places
) -> Iterator[Account]:
    """Yield accounts of the places that are in none.

    Without objects that were freed, only where places stand tells which belong together. All others
    are one account, if references are taken there.
    """
    columns = columns_of(histories)
    left = {key: column for key, column in columns.items() if key[0] not in known[key[1]]}
    linking = _linking(histories)
    for common in (lambda place: place in linking or None, places.function, places.maker):
        for take, give in pairs_of(left, common):
            yield Account(frozenset([take]), frozenset([give]))
            del left[take, True], left[give, False]
    takes, gives = split(left)
    if takes:
        yield Account(takes, gives)


def _linking(histories: Iterable[History]) -> set[int]:
    """Return the places of containers' own references."""
    return {
        step.place
        for history in histories
        for step in history.steps
        if step.container is not None or step.is_by_container
    }


def _is_placed(unknown: Iterable[Step], places: Places) -> bool:
    """Return whether what was given back at unknown places was taken in the same functions.

    Else it may have closed any account.
    """
    balances: Counter[object] = Counter()
    for step in unknown:
        balances[places.function(step.place)] += step.count if step.is_taken else -step.count
    return all(balance >= 0 for balance in balances.values())
