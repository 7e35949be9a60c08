from __future__ import annotations

import struct
from typing import Any

from profiler.binary.probe_sites import Site
from profiler.counting.group_counts import GroupCounts
from profiler.model.observed import GroupCount
from profiler.probes.attach import AttachPoint
from profiler.probes.planner import PlannedProbe
from profiler.wire.lookups import Group, GroupKey, Place, Verdict
from tests.unit.fake_maps import Module

HASH, TREE = 0x1000, 0x2000
FIND, UNLINK = Place.FIND, Place.UNLINK


def key(container: int, entry: int = FIND, comparator: int = 7) -> GroupKey:
    return GroupKey(container, comparator, 1, 2, 3, 0, entry)


class Maps:
    """The programs' maps as the test fills them."""

    def __init__(self) -> None:
        module: Any = Module()
        self.map = module.map
        self.noted: list[GroupKey] = []
        self.counts = GroupCounts(module, self.noted.extend)

    def measure(self, one: GroupKey, v_table: int, count: int, compared: int = 0) -> None:
        head = struct.pack("<QQQ", 1, v_table, count)  # id, v_table, verified
        value = bytearray(head.ljust(Group.FORMAT.size, b"\0"))
        struct.pack_into("<Q", value, 8 * (2 + len(Verdict) + 2), compared)  # after hits, misses
        self.map("groups")[one.encode()] = bytes(value)

    def count_entries(self, one: GroupKey, count: int) -> None:
        self.map("entry_counts")[one.encode()] = struct.pack("<Q", count)


def probe(*entries: int, v_table: int | None = None) -> PlannedProbe:
    site = Site("any", 0, 0, "push %rbp", True, 0, "")
    place = AttachPoint("/proc/1/exe", 0, 0, 0, False)
    return PlannedProbe(site, place, frozenset(entries), v_table)


def test_each_window_has_what_is_new() -> None:
    maps = Maps()
    maps.measure(key(1), HASH, 5)
    assert maps.counts.measured() == (GroupCount(key(1), 5),)
    assert maps.counts.measured() == ()
    maps.measure(key(1), HASH, 8)
    maps.measure(key(2), HASH, 1)
    assert maps.counts.measured() == (GroupCount(key(1), 3), GroupCount(key(2), 1))
    entry_count = key(1, comparator=0)
    maps.count_entries(entry_count, 100)
    assert maps.counts.entry_counts() == (GroupCount(entry_count, 100),)
    assert maps.noted == [key(1), key(1), key(2)]
    assert set(maps.counts.groups()) == {key(1), key(2)}


def test_all_comparisons_of_verified_lookups_are_known_after_a_window() -> None:
    maps = Maps()
    assert maps.counts.comparisons == 0
    maps.measure(key(1), HASH, 5, compared=40)
    maps.measure(key(2), TREE, 2, compared=3)
    maps.counts.measured()
    assert maps.counts.comparisons == 43
    assert maps.counts.verdicts[Verdict.VERIFIED] == 7


def test_until_lookups_were_seen_those_of_find_are_expected() -> None:
    counts = Maps().counts
    assert counts.is_busy(probe(FIND, UNLINK))
    assert counts.is_busy(probe(FIND, v_table=TREE))
    assert not counts.is_busy(probe(UNLINK))
    assert not counts.is_busy(probe())


def test_probes_are_busy_that_lookups_pass() -> None:
    maps = Maps()
    maps.measure(key(1, UNLINK), HASH, 5)
    maps.counts.measured()
    assert maps.counts.is_busy(probe(UNLINK))
    assert not maps.counts.is_busy(probe(FIND))
    assert maps.counts.is_busy(probe(FIND, UNLINK, v_table=HASH))
    assert not maps.counts.is_busy(probe(FIND, UNLINK, v_table=TREE))
    maps.count_entries(key(1), 1)
    maps.counts.entry_counts()
    assert maps.counts.is_busy(probe(FIND))
