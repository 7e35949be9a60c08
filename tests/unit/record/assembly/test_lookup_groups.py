from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from profiler.model.observed import (
    ContainerKey,
    ContainerState,
    GroupCount,
    MeasuredWindow,
    ObservedContainer,
    ObservedLookups,
)
from profiler.model.recording import ProbeWindow
from profiler.record.assembly.lookup_groups import LookupGroups, last_elements
from profiler.record.collection.container_keys import ContainerKeys
from profiler.record.collection.counted_groups import NOTHING_MEASURED
from profiler.wire.lookups import (
    Group,
    GroupKey,
    Kind,
    Layout,
    LookupCounter,
    LookupStack,
    LookupStackKey,
    Verdict,
)


def group(first: int, last: int) -> Group:
    return Group(1, 2, (1,) * len(Verdict), 0, 0, 0, 0, 0, 0, 0, 0, first, last)


def key(line: int, container: int = 1) -> GroupKey:
    return GroupKey(container, 2, 3, 4, line, 0, 0)


def window(*keys: GroupKey) -> MeasuredWindow:
    return MeasuredWindow(
        window=ProbeWindow(0, 1, 1, 1),
        groups=tuple(GroupCount(key, 1) for key in keys),
        cpu_ns=1,
        cost_ns=1,
        admitted=1,
        refused=0,
    )


def last(groups: dict[GroupKey, Group], *windows: MeasuredWindow) -> dict[ContainerKey, int | None]:
    observed = ObservedLookups(
        groups=groups,
        histograms={},
        stacks={},
        counters=dict.fromkeys(LookupCounter, 0),
        windows=windows,
        counting=(),
        cpu_begin_ns=0,
        cpu_end_ns=1,
        containers={},
        texts={},
        entries={},
        probes=(),
    )
    return last_elements(observed, ContainerKeys(groups))


def test_the_last_lookup_counts_whatever_group_it_is_of() -> None:
    late, early = key(1), key(2)
    groups = {late: group(50, 90), early: group(10, 60)}
    assert last(groups, window(early), window(early, late), window(late)) == {(1, 2, 0, 0): 90}
    assert last(groups, window(late), window(late, early)) == {(1, 2, 0, 0): 60}


def test_groups_of_no_window_and_windows_of_no_group_do_no_harm() -> None:
    groups = {key(1): group(5, 6), key(1, container=9): group(7, 8)}
    assert last(groups, window(key(1), key(77))) == {(1, 2, 0, 0): 6, (9, 2, 0, 0): 8}


def test_of_containers_whose_lookups_were_only_counted_no_size_is_known() -> None:
    groups = {key(1): group(5, 6), key(1, container=9): NOTHING_MEASURED}
    assert last(groups, window(key(1))) == {(1, 2, 0, 0): 6, (9, 2, 0, 0): None}


LOCATION, SORCERY = 0x100, 0x200
STATE = ContainerState(1, None, 2, 3, 77, 1, Layout(Kind.HASH, 56, 16, 48))


def of_files(reused: frozenset[ContainerKey]) -> LookupGroups:
    """Return lookups of two files in what was at one address."""
    files = {
        replace(key(1), file=LOCATION, buckets=1): group(1, 1),
        replace(key(2), file=SORCERY, buckets=1): group(25_000, 25_000),
    }
    observed = ObservedLookups(
        groups=files,
        histograms={},
        stacks={
            LookupStackKey(9, 8, 1, 2, file, 0, 1): LookupStack(lookups, 0)
            for file, lookups in ((LOCATION, 3), (SORCERY, 4))
        },
        counters=dict.fromkeys(LookupCounter, 0),
        windows=(window(*files),),
        counting=(),
        cpu_begin_ns=0,
        cpu_end_ns=1,
        containers={ContainerKey(1, 2, 1): ObservedContainer(STATE, False, ((77, 1),), True, 70)},
        texts={LOCATION: "location.c", SORCERY: "sorcery.c"},
        entries={},
        probes=(),
        reused=reused,
    )
    frames: Any = SimpleNamespace(frame=lambda _: 0, stack=lambda *_, **__: 5)
    sites: Any = SimpleNamespace(index=lambda _: 0, of_key=lambda key: key)
    return LookupGroups(observed, frames, sites, lambda _: (), 1e7)


def test_one_container_has_the_lookups_of_all_files() -> None:
    found = of_files(frozenset())
    (container,) = found.containers
    assert (container.kind, container.elements_start, container.elements_end) == ("list", 70, 77)
    assert [one.container for one in found.groups] == [0, 0]
    assert [stack.container for stack in found.stacks] == [0, 0]


def test_of_an_address_that_was_used_again_each_file_has_a_container() -> None:
    found = of_files(frozenset({ContainerKey(1, 2, 1)}))
    ends = [(one.elements_start, one.elements_end) for one in found.containers]
    assert ends == [(None, 1), (None, 25_000)]
    assert [one.container for one in found.groups] == [0, 1]
    assert [(stack.container, stack.lookups) for stack in found.stacks] == [(0, 3.0), (1, 4.0)]
