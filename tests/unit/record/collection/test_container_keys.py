from __future__ import annotations

from profiler.model.observed import ContainerKey
from profiler.record.collection.container_keys import ContainerKeys
from profiler.wire.lookups import Group, GroupKey, LookupStackKey, Verdict

AT, COMPARE, LOCATION, SORCERY = 0x1000, 0x40, 0x2000, 0x3000


def key(buckets: int, file: int = LOCATION, comparator: int = COMPARE) -> GroupKey:
    return GroupKey(AT, comparator, file, 1, 2, 3, 0, buckets)


def group(measured: int) -> Group:
    return Group(1, 2, (measured, *[0] * (len(Verdict) - 1)), *[0] * 10)


def test_containers_differ_by_comparator_and_buckets() -> None:
    keys = ContainerKeys({})
    found = {keys.of(one) for one in (key(7), key(1), key(7, comparator=0), key(7, SORCERY))}
    assert found == {
        ContainerKey(AT, COMPARE, 7),
        ContainerKey(AT, COMPARE, 1),
        ContainerKey(AT, 0, 7),
    }


def test_unknown_buckets_are_those_of_which_most_was_measured() -> None:
    keys = ContainerKeys({key(0): group(99), key(7): group(3), key(1): group(2)})
    assert keys.of(key(0)) == ContainerKey(AT, COMPARE, 7)
    assert keys.of(key(0, comparator=0)) == ContainerKey(AT, 0, 0)


def test_at_an_address_that_was_used_again_each_file_has_its_own() -> None:
    keys = ContainerKeys({}, [ContainerKey(AT, COMPARE, 1)])
    assert keys.of(key(1)) == ContainerKey(AT, COMPARE, 1, LOCATION)
    assert keys.of(key(1, SORCERY)) == ContainerKey(AT, COMPARE, 1, SORCERY)
    assert keys.of(key(7)) == ContainerKey(AT, COMPARE, 7)
    stack = LookupStackKey(9, 8, AT, COMPARE, SORCERY, 0, 1)
    assert keys.of(stack) == ContainerKey(AT, COMPARE, 1, SORCERY)
