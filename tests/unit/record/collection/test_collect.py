"""What is read of a measurement when its probes are gone, from counts that are made here."""

from __future__ import annotations

import struct
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.binary.probe_sites import Site
from profiler.model.observed import (
    ContainerKey,
    ContainerState,
    CountingWindow,
    GroupCount,
    ObservedContainer,
    ObservedLookups,
)
from profiler.model.recording import Probe
from profiler.probes.attach import AttachPoint
from profiler.probes.planner import PlannedProbe
from profiler.record.collection import collect
from profiler.record.collection.counted_groups import NOTHING_MEASURED
from profiler.wire.lookups import (
    Group,
    GroupKey,
    Kind,
    Layout,
    LookupStack,
    LookupStackKey,
    Metric,
    Verdict,
)

COMPARE, OTHER, HASH, ZERO = 0x51, 0x52, 0x53, 0x54


def key(container: int, comparator: int = COMPARE, file: int = 0) -> GroupKey:
    return GroupKey(container, comparator, file, 0x900, 1, 0, 0)


def group(comparisons: int) -> Group:
    return Group(1, 2, (0,) * len(Verdict), 0, 0, comparisons, *[0] * 8)


def state(comparator: int = COMPARE, buckets: int = 7, function: int = HASH) -> ContainerState:
    layout = Layout(Kind.HASH, 56, 16, 48)
    return ContainerState(0x500, None, comparator, function, 3, buckets, layout)


class Target:
    """Containers as they are now, and how often their chains were read."""

    def __init__(self) -> None:
        self.now: dict[int, ContainerState] = {}
        self.before: dict[tuple[int, int], ContainerState] = {}
        self.reused: set[int] = set()
        self.died: set[int] = set()
        self.looks = 0
        self.chains_read: list[int] = []
        self.groups: dict[GroupKey, Group] = {}
        self.maps: dict[str, list[tuple[bytes, bytes]]] = {}
        self.probes: list[PlannedProbe] = []
        self.counting: tuple[CountingWindow, ...] = ()
        self.lacks_room = False

    def look(self) -> None:
        self.looks += 1

    def state(self, key: ContainerKey) -> ContainerState | None:
        return self.before.get((key.address, key.comparator))

    def has_died(self, key: ContainerKey) -> bool:
        return key.address in self.died

    def is_reused(self, key: ContainerKey) -> bool:
        return key.address in self.reused

    def elements_start(self, _key: ContainerKey) -> int | None:
        return 2 if self.looks else None


@pytest.fixture
def target(monkeypatch: pytest.MonkeyPatch) -> Target:
    made = Target()

    def lengths(_memory: object, address: int, _state: object) -> tuple[tuple[int, int], ...]:
        made.chains_read.append(address)
        return ((address, 1),)

    monkeypatch.setattr(collect, "read_container", lambda _memory, at, _code: made.now.get(at))
    monkeypatch.setattr(collect, "read_chain_lengths", lengths)
    return made


def collected(target: Target) -> ObservedLookups:
    measurement: Any = SimpleNamespace(
        groups=lambda: target.groups,
        entries=lambda name: target.maps.get(name, []),
        counters=dict,
        windows=SimpleNamespace(all=lambda: ()),
        counter=SimpleNamespace(windows=SimpleNamespace(all=lambda: target.counting), lost=11),
        lacks_room=target.lacks_room,
        cpu_begin_ns=5,
        cpu_end_ns=8,
        probes=SimpleNamespace(seen=target.probes),
        cache=SimpleNamespace(text=lambda at: f"text {at:#x}"),
        containers=target,
    )
    planner: Any = SimpleNamespace(
        entry_addresses=lambda: {0: 0x600}, returns_zero=lambda function: function == ZERO
    )
    process: Any = SimpleNamespace(memory=None, is_code=None)
    return collect.collect_lookups(measurement, planner, process)


def test_histograms_and_stacks_are_taken_apart(target: Target) -> None:
    target.maps["histograms"] = [
        (struct.pack("<Q2I", 9, Metric.DURATION, slot), struct.pack("<Q", count))
        for slot, count in ((130, 3), (2, 1 << 40))
    ]
    stack = struct.pack("<5Q2I", 1, 2, 3, 4, 5, 6, 7)
    target.maps["lookup_stacks"] = [(stack, struct.pack("<2Q", 5, 6))]
    found = collected(target)
    assert found.histograms == {(9, Metric.DURATION): [(130, 3), (2, 1 << 40)]}
    assert found.stacks == {LookupStackKey(1, 2, 3, 4, 5, 6, 7): LookupStack(5, 6)}
    (name,) = (key.stack_name for key in found.stacks)
    assert name == 1 + (2 << 64)
    assert (found.cpu_begin_ns, found.cpu_end_ns, found.entries) == (5, 8, {0: 0x600})


def test_only_texts_that_are_named_are_read(target: Target) -> None:
    target.groups = {key(1): group(0), key(1, file=0x800): group(0)}
    assert collected(target).texts == {0x800: "text 0x800", 0x900: "text 0x900"}


def test_a_container_that_is_there_is_read_with_its_chains(target: Target) -> None:
    target.groups, target.now = {key(1): group(0)}, {1: state()}
    found = collected(target).containers
    assert found == {
        ContainerKey(1, COMPARE): ObservedContainer(state(), False, ((1, 1),), False, 2)
    }


def test_of_an_address_that_was_used_again_no_chains_are_read(target: Target) -> None:
    target.groups, target.now, target.reused = {key(1): group(0)}, {1: state()}, {1}
    found = collected(target)
    assert found.containers == {
        ContainerKey(1, COMPARE): ObservedContainer(state(), False, (), False, 2)
    }
    assert found.reused == {(1, COMPARE, 0, 0)}


def test_what_is_there_after_it_died_is_another_one(target: Target) -> None:
    target.groups, target.now, target.died = {key(1): group(0)}, {1: state()}, {1}
    target.before = {(1, COMPARE): replace(state(), elements=9)}
    (found,) = collected(target).containers.values()
    assert found == ObservedContainer(replace(state(), elements=9), True, (), False)


def test_groups_of_one_address_with_other_buckets_are_of_other_containers(target: Target) -> None:
    many, one = replace(key(1), buckets=7), replace(key(1), buckets=1)
    target.groups, target.now = {many: group(0), one: group(0)}, {1: state(buckets=1)}
    found = collected(target).containers
    assert set(found) == {ContainerKey(1, COMPARE, 1)}


@pytest.mark.parametrize("now", [None, state(OTHER), state(buckets=8), state(function=ZERO)])
def test_of_a_container_that_is_gone_the_last_state_is_kept(
    now: ContainerState | None, target: Target
) -> None:
    target.groups = {key(1): group(0)}
    target.now = {} if now is None else {1: now}
    target.before = {(1, COMPARE): state()}
    found = collected(target).containers
    assert found == {ContainerKey(1, COMPARE): ObservedContainer(state(), True, (), False)}
    assert target.chains_read == []


@pytest.mark.parametrize(
    ("buckets", "function", "is_list"), [(1, ZERO, True), (2, ZERO, False), (1, HASH, False)]
)
def test_a_list_has_one_bucket_and_a_hash_function_of_zero(
    buckets: int, function: int, is_list: bool, target: Target
) -> None:
    target.groups = {key(1): group(0)}
    target.now = {1: state(buckets=buckets, function=function)}
    assert collected(target).containers[ContainerKey(1, COMPARE)].is_list is is_list


def test_chains_are_read_of_the_50_containers_with_the_most_comparisons(target: Target) -> None:
    # Of container 0 it is the sum over its groups that counts.
    target.groups = {key(at): group(1_000 + at) for at in range(60)}
    target.groups[key(0, file=0x800)] = group(1_000)
    target.now = {at: state() for at in range(60)}
    assert len(collected(target).containers) == 60
    assert target.chains_read == [0, *range(59, 10, -1)]


def test_containers_beyond_2000_are_not_read(target: Target) -> None:
    target.groups = {key(at): group(at) for at in range(2_001)}
    target.now = {at: state() for at in range(2_001)}
    found = collected(target)
    assert {key.address for key in found.containers} == set(range(1, 2_001))
    assert found.unread == 1


@pytest.mark.parametrize("lacks_room", [False, True])
def test_what_the_programs_had_no_room_for_is_known(target: Target, lacks_room: bool) -> None:
    target.lacks_room = lacks_room
    assert collected(target).lacks_room == lacks_room
    assert (collected(target).unread, collected(target).uncounted) == (0, 11)


def test_probed_jumps_may_end_behind_their_probe(target: Target) -> None:
    target.probes = [
        PlannedProbe(
            Site("__ao2_find", 0x10, 0x10, instruction, True, 0, "first"),
            AttachPoint("/bin/true", 0x10, address, 0, True),
            frozenset(),
        )
        for instruction, address in (("je 0x20", 0x5000), ("call 0x40", 0x6000), ("ret", 0x7000))
    ]
    found = collected(target)
    assert found.behind_probes == {0x5002, 0x5005, 0x5006, 0x6002, 0x6005, 0x6006}
    assert found.probes[0] == Probe("__ao2_find", "0x10", "je 0x20", "first")


def test_lookups_that_were_only_counted_are_groups_too(target: Target) -> None:
    there, gone = key(0x10, file=0x77), key(0x20, file=0x77)
    counts = (GroupCount(there, 5), GroupCount(gone, 6))
    target.counting = (CountingWindow(0, 1, 1, 0, 1, 1, 0, 0, counts),)
    target.now = {0x10: state()}
    found = collected(target)
    assert found.groups == {there: NOTHING_MEASURED, gone: NOTHING_MEASURED}
    assert found.counting == target.counting
    assert found.texts == {0x77: "text 0x77", 0x900: "text 0x900"}
