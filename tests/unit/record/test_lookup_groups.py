from __future__ import annotations

from profiler.model.observed import ContainerKey, GroupCount, MeasuredWindow, ObservedLookups
from profiler.model.recording import ProbeWindow
from profiler.record.container_keys import ContainerKeys
from profiler.record.counted_groups import NOTHING_MEASURED
from profiler.record.lookup_groups import last_elements
from profiler.wire.lookups import Group, GroupKey, LookupCounter, Verdict


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
