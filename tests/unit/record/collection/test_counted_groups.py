from __future__ import annotations

from collections.abc import Mapping

from profiler.model.observed import CountingWindow, GroupCount
from profiler.record.collection.counted_groups import (
    NOTHING_MEASURED,
    counted_groups,
    without_inner,
)
from profiler.wire.lookups import Group, GroupKey, Place


def key(container: int = 1, line: int = 5, entry: Place = Place.FIND, buckets: int = 0) -> GroupKey:
    return GroupKey(container, 2, 3, 4, line, 0, entry, buckets)


def window(*keys: GroupKey) -> CountingWindow:
    counts = tuple(GroupCount(one, 1) for one in keys)
    return CountingWindow(0, 1, 1, 0, 1, 1, 0, 0, counts)


def left(*keys: GroupKey) -> list[GroupKey]:
    (found,) = without_inner([window(*keys)])
    return [group.key for group in found.groups]


def counted(*keys: GroupKey, measured: Mapping[GroupKey, Group] | None = None) -> set[GroupKey]:
    found = counted_groups(measured or {}, [window(*keys), window(*keys)])
    assert set(found.values()) <= {NOTHING_MEASURED}
    return set(found)


def test_what_was_measured_too_is_no_group_of_its_own() -> None:
    assert counted(key(), measured={key(): NOTHING_MEASURED}) == set()
    assert counted(key(), measured={key(buckets=7): NOTHING_MEASURED}) == set()


def test_what_was_only_counted_is_a_group_wherever_its_container_is_now() -> None:
    measured = {key(line=9): NOTHING_MEASURED}
    assert counted(key(), key(line=9), measured=measured) == {key()}


def test_an_entry_function_that_another_one_called_is_no_lookup() -> None:
    inner = key(entry=Place.CALLBACK)
    assert left(key(), inner) == [key()]
    assert left(inner) == [inner]
    elsewhere = key(line=6, entry=Place.CALLBACK)
    assert left(key(), elsewhere) == [key(), elsewhere]


def test_an_outer_entry_of_another_window_makes_it_inner_as_well() -> None:
    inner = key(entry=Place.CALLBACK_DATA)
    first, last = without_inner([window(key()), window(inner)])
    assert (first.lookups, last.lookups) == (1, 0)


def test_without_a_container_there_is_no_lookup() -> None:
    assert left(key(container=0)) == []
