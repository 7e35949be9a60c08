"""Groups of lookups that were counted and never measured. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from profiler.model.observed import CountingWindow
from profiler.wire.lookups import Group, GroupKey, Place, Verdict

NOTHING_MEASURED = Group(0, 0, (0,) * len(Verdict), *(0,) * 10)
_INNER = (Place.CALLBACK, Place.CALLBACK_DATA)  # what others may call for the same lookup


def counted_groups(
    groups: Mapping[GroupKey, Group],
    windows: Sequence[CountingWindow],
    comparator_of: Callable[[int], int | None],
) -> dict[GroupKey, Group]:
    """Return the groups that windows counted beside those that were measured.

    Counted keys have neither comparator nor buckets. `comparator_of` returns the comparator of the
    container at an address, None if none is there. An entry function that another one called is no
    lookup of its own.
    """
    known = {replace(key, comparator=0, buckets=0) for key in groups}
    met = {group.key for window in windows for group in window.groups} - known
    outer = {_place(key) for key in (*known, *met) if key.entry not in _INNER}
    comparators = {key.container: key.comparator for key in groups}
    found = {}
    for key in met:
        if key.entry in _INNER and _place(key) in outer:
            continue
        if key.container not in comparators:
            comparator = comparator_of(key.container)
            if comparator is None:
                continue
            comparators[key.container] = comparator
        found[replace(key, comparator=comparators[key.container])] = NOTHING_MEASURED
    return found


def _place(key: GroupKey) -> tuple[int, int, int, int]:
    return key.container, key.file, key.line, key.function
