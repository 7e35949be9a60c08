"""Which places give back the references that which places take. Pure.

Nothing in Asterisk says so. It is learnt from objects that were freed: over all of them, what one
place takes is what another gives back, or the two or three that may follow it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from profiler.report.references.histories import History
from profiler.report.references.places import Places

_PATTERNS_MAX = 1_000  # histories that differ; more tell nothing new
_SUMMANDS_MAX = 3  # places that share one account with a place
_LEFTOVERS_MAX = 30  # places that are tried as summands: the number of trials grows fast

Key = tuple[int, bool]  # place, is_taken
Column = tuple[tuple[int, int], ...]  # (pattern, how often), of those in which it occurs


@dataclass(frozen=True, slots=True)
class Account:
    """References are taken at any of these places, and given back at any of those."""

    takes: frozenset[int]
    gives: frozenset[int]


def pairs_of(left: Mapping[Key, Column], common: Callable[[int], object]) -> list[tuple[int, int]]:
    """Return the places of which one alone takes and one gives as often, with that in common."""
    classes: dict[object, list[Key]] = defaultdict(list)
    for key, column in left.items():
        if (shared := common(key[0])) is not None:
            classes[shared, column].append(key)
    alone = (split(keys) for keys in classes.values())
    return [
        (take, give)
        for takes, gives in alone
        if len(takes) == len(gives) == 1
        for take in takes
        for give in gives
    ]


def split(keys: Iterable[Key]) -> tuple[frozenset[int], frozenset[int]]:
    """Return the places that take and those that give back."""
    split: Mapping[bool, set[int]] = {True: set(), False: set()}
    for place, is_taken in keys:
        split[is_taken].add(place)
    return frozenset(split[True]), frozenset(split[False])


def accounts_of(
    columns: Mapping[Key, Column], everywhere: Mapping[Key, Column], places: Places
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
                accounts += _of_one_function(takes, gives, places)
                for key in keys:
                    del left[key]
    accounts += _sums(left)
    if left and columns:
        accounts.append(Account(*split(left)))
    return tuple(accounts)


def _classes(keys: Iterable[Key], columns: Mapping[Key, Column]) -> Iterable[list[Key]]:
    """Return lists of those keys that have the same column."""
    classes: dict[Column | Key, list[Key]] = defaultdict(list)
    for key in keys:
        classes[columns.get(key, key)].append(key)
    return classes.values()


def columns_of(histories: Iterable[History]) -> dict[Key, Column]:
    """Return how often objects took and gave back at each place, by pattern."""
    patterns: dict[frozenset[tuple[Key, int]], None] = {}
    for history in histories:
        counts: Counter[Key] = Counter()
        for step in history.steps:
            counts[step.place, step.is_taken] += step.count
        patterns[frozenset(counts.items())] = None
        if len(patterns) == _PATTERNS_MAX:
            break
    columns: dict[Key, list[tuple[int, int]]] = defaultdict(list)
    for at, pattern in enumerate(patterns):
        for key, count in sorted(pattern):
            columns[key].append((at, count))
    return {key: tuple(column) for key, column in columns.items()}


def _of_one_function(takes: list[int], gives: list[int], places: Places) -> Iterator[Account]:
    """Yield the accounts of as many takes as gives, by function where that tells them apart."""
    rest_takes, rest_gives = set(takes), set(gives)
    same: dict[object, set[int]] = defaultdict(set)
    for give in gives:
        same[places.function(give)].add(give)
    for take in takes:
        found = same[places.function(take)]
        if len(takes) > 1 and len(found) == 1:
            give = found.pop()
            rest_takes.remove(take)
            rest_gives.remove(give)
            yield Account(frozenset([take]), frozenset([give]))
    if rest_takes:
        yield Account(frozenset(rest_takes), frozenset(rest_gives))


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
    whole, totals = _total(column), {key: _total(other) for key, other in others.items()}
    for size in range(2, _SUMMANDS_MAX + 1):
        for chosen in combinations(others, size):
            if whole == sum(totals[key] for key in chosen) and _adds_up(
                column, (others[key] for key in chosen)
            ):
                return chosen
    return ()


def _total(column: Column) -> int:
    return sum(count for _, count in column)


def _adds_up(column: Column, others: Iterable[Column]) -> bool:
    sums: dict[int, int] = defaultdict(int)
    for other in others:
        for pattern, count in other:
            sums[pattern] += count
    return sums == dict(column)
