"""Which places give back the references that which places take. Pure.

Nothing in Asterisk says so. It is learnt from objects that were freed: over all of them, what one
place takes is what another gives back, or the two or three that may follow it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from profiler.model.recording import CallSite
from profiler.report.histories import History, Step

_PATTERNS_MAX = 1_000  # histories that differ; more tell nothing new
_SUMMANDS_MAX = 3  # places that share one account with a place
_LEFTOVERS_MAX = 30  # places that are tried as summands: the number of trials grows fast

Key = tuple[int, bool]  # place, is_taken
Column = tuple[int, ...]  # how often, in each pattern


@dataclass(frozen=True, slots=True)
class Account:
    """References are taken at any of these places, and given back at any of those."""

    takes: frozenset[int]
    gives: frozenset[int]


@dataclass(frozen=True, slots=True)
class Learnt:
    """Objects of one type that go the same ways, and the accounts that their places are in."""

    type: int
    histories: tuple[History, ...]
    accounts: tuple[Account, ...]


def learn(histories: Iterable[History], sites: Sequence[CallSite]) -> tuple[Learnt, ...]:
    """Return what is learnt of each type."""
    by_type: dict[int, list[History]] = defaultdict(list)
    for history in histories:
        by_type[history.of.type].append(history)
    everywhere = _columns(history for own in by_type.values() for history in own)
    return tuple(
        learnt for kind, own in by_type.items() for learnt in _learnt(kind, own, everywhere, sites)
    )


def _learnt(
    kind: int,
    own: Sequence[History],
    everywhere: Mapping[Key, Column],
    sites: Sequence[CallSite],
) -> Iterator[Learnt]:
    """Yield what is learnt of those like the freed ones, then of those of each other way."""
    columns = _columns(own)
    accounts = _accounts(columns, everywhere, sites)
    known = {
        True: {place for account in accounts for place in account.takes},
        False: {place for account in accounts for place in account.gives},
    }
    alike: list[History] = []
    others: dict[frozenset[Key], list[History]] = defaultdict(list)
    for history in own:
        unknown = [step for step in history.steps if step.place not in known[step.is_taken]]
        if not columns or _is_placed(unknown, sites):
            alike.append(history)
        else:
            others[frozenset((step.place, step.is_taken) for step in history.steps)].append(history)
    yield Learnt(kind, tuple(alike), (*accounts, *_rest(alike, known)))
    for way in others.values():
        yield Learnt(kind, tuple(way), tuple(_rest(way, {True: set(), False: set()})))


def _rest(histories: Iterable[History], known: Mapping[bool, set[int]]) -> Iterator[Account]:
    """Yield one account of all places that are in none, if references are taken there."""
    rest: Mapping[bool, set[int]] = {True: set(), False: set()}
    for history in histories:
        for step in history.steps:
            if step.place not in known[step.is_taken]:
                rest[step.is_taken].add(step.place)
    if rest[True]:
        yield Account(frozenset(rest[True]), frozenset(rest[False]))


def _is_placed(unknown: Iterable[Step], sites: Sequence[CallSite]) -> bool:
    """Return whether what was given back at unknown places was taken in the same functions.

    Else it may have closed any account.
    """
    balances: Counter[object] = Counter()
    for step in unknown:
        balances[_function(step.place, sites)] += step.count if step.is_taken else -step.count
    return all(balance >= 0 for balance in balances.values())


def _accounts(
    columns: Mapping[Key, Column], everywhere: Mapping[Key, Column], sites: Sequence[CallSite]
) -> tuple[Account, ...]:
    """Return the accounts in which freed objects were even, each place in one at most.

    `columns` are those of one type, `everywhere` those of all: places that are even in all types
    are told apart from what happens in each object of this type. Of a type of which none was freed,
    only such places are known.
    """
    left = dict(columns or everywhere)
    accounts: list[Account] = []
    for compared in (everywhere, columns):
        for keys in _classes(left, compared):
            takes = [place for place, is_taken in keys if is_taken]
            gives = [place for place, is_taken in keys if not is_taken]
            if len(takes) == len(gives):
                accounts += _of_one_function(takes, gives, sites)
                left = {key: column for key, column in left.items() if key not in keys}
    accounts += _sums(left)
    if left and columns:
        takes, gives = ([place for place, taken in left if taken is one] for one in (True, False))
        accounts.append(Account(frozenset(takes), frozenset(gives)))
    return tuple(accounts)


def _classes(keys: Iterable[Key], columns: Mapping[Key, Column]) -> Iterable[list[Key]]:
    """Return lists of those keys that have the same column."""
    classes: dict[Column | Key, list[Key]] = defaultdict(list)
    for key in keys:
        classes[columns.get(key, key)].append(key)
    return classes.values()


def _columns(histories: Iterable[History]) -> dict[Key, Column]:
    """Return how often freed objects took and gave back at each place, by pattern."""
    patterns: dict[frozenset[tuple[Key, int]], None] = {}
    for history in histories:
        if not history.is_closed:
            continue
        counts: Counter[Key] = Counter()
        for step in history.steps:
            counts[step.place, step.is_taken] += step.count
        patterns[frozenset(counts.items())] = None
        if len(patterns) == _PATTERNS_MAX:
            break
    tables = [dict(pattern) for pattern in patterns]
    keys = dict.fromkeys(key for table in tables for key in sorted(table))
    return {key: tuple(table.get(key, 0) for table in tables) for key in keys}


def _of_one_function(
    takes: list[int], gives: list[int], sites: Sequence[CallSite]
) -> Iterator[Account]:
    """Yield the accounts of as many takes as gives, by function where that tells them apart."""
    rest_takes, rest_gives = set(takes), set(gives)
    for take in takes:
        same = [give for give in rest_gives if _function(take, sites) == _function(give, sites)]
        if len(takes) > 1 and len(same) == 1:
            rest_takes.remove(take)
            rest_gives.remove(same[0])
            yield Account(frozenset([take]), frozenset(same))
    if rest_takes:
        yield Account(frozenset(rest_takes), frozenset(rest_gives))


def _function(place: int, sites: Sequence[CallSite]) -> object:
    return (sites[place].file, sites[place].function) if place >= 0 else None


def _sums(left: dict[Key, Column]) -> Iterator[Account]:
    """Yield accounts of one place and the few that add up to it; take them out of `left`."""
    for key in list(left):
        if key not in left or len(left) > _LEFTOVERS_MAX:
            continue
        others = {other: left[other] for other in left if other[1] is not key[1]}
        summands = _summands(left[key], others)
        if not summands:
            continue
        places = frozenset(place for place, _ in summands)
        one = frozenset([key[0]])
        yield Account(one, places) if key[1] else Account(places, one)
        for used in (key, *summands):
            del left[used]


def _summands(column: Column, others: Mapping[Key, Column]) -> tuple[Key, ...]:
    for size in range(2, _SUMMANDS_MAX + 1):
        for chosen in combinations(others, size):
            if all(map(_adds_up, column, *(others[key] for key in chosen))):
                return chosen
    return ()


def _adds_up(whole: int, *parts: int) -> bool:
    return whole == sum(parts)
