from __future__ import annotations

from collections.abc import Mapping

from profiler.model.observed import CountingWindow, GroupCount
from profiler.record.counted_groups import NOTHING_MEASURED, counted_groups
from profiler.wire.lookups import Group, GroupKey, Place

COMPARATOR = 0x51


def key(
    container: int = 1, line: int = 5, entry: Place = Place.FIND, comparator: int = 0
) -> GroupKey:
    return GroupKey(container, comparator, 3, 4, line, 0, entry)


def counted(
    *keys: GroupKey,
    measured: Mapping[GroupKey, Group] | None = None,
    comparators: Mapping[int, int] | None = None,
) -> set[GroupKey]:
    counts = tuple(GroupCount(one, 1) for one in keys)
    window = CountingWindow(0, 1, 1, 0, 1, 1, 0, 0, counts)
    found = counted_groups(measured or {}, [window, window], (comparators or {}).get)
    assert set(found.values()) <= {NOTHING_MEASURED}
    return set(found)


def test_what_was_measured_too_is_no_group_of_its_own() -> None:
    measured = {key(comparator=COMPARATOR): NOTHING_MEASURED}
    assert counted(key(), measured=measured) == set()


def test_the_comparator_is_the_containers_own() -> None:
    measured = {key(line=9, comparator=COMPARATOR): NOTHING_MEASURED}
    assert counted(key(), measured=measured) == {key(comparator=COMPARATOR)}
    assert counted(key(), comparators={1: 0x99}) == {key(comparator=0x99)}


def test_where_no_container_is_there_is_no_group() -> None:
    assert counted(key(), key(container=0)) == set()


def test_an_entry_function_that_another_one_called_is_no_lookup() -> None:
    inner = key(entry=Place.CALLBACK)
    assert counted(key(), inner, comparators={1: 7}) == {key(comparator=7)}
    alone = counted(inner, comparators={1: 7})
    assert alone == {key(entry=Place.CALLBACK, comparator=7)}
    elsewhere = key(line=6, entry=Place.CALLBACK)
    assert len(counted(key(), elsewhere, comparators={1: 7})) == 2
