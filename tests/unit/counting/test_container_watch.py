"""Containers that come and go in a memory that is made here."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.counting import container_watch
from profiler.counting.container_watch import ContainerWatch
from profiler.model.observed import ContainerKey, ContainerState
from profiler.wire.lookups import GroupKey, Kind, Layout

AT, COMPARE, OTHER = 0x1000, 0x40, 0x41
KEY = ContainerKey(AT, COMPARE, 7)
MAGIC = 0xA70B123 << 4


def state(elements: int, buckets: int = 7, comparator: int = COMPARE) -> ContainerState:
    layout = Layout(Kind.HASH, 56, 16, 48)
    return ContainerState(1, None, comparator, 0x50, elements, buckets, layout)


def group(buckets: int = 7, comparator: int = COMPARE, line: int = 7) -> GroupKey:
    return GroupKey(AT, comparator, 0x2000, 0x2100, line, 0, 0, buckets)


class Memory:
    """Holds one container, or none, at one address."""

    def __init__(self) -> None:
        self.container: ContainerState | None = state(10)
        self.is_known = True  # what it is

    def read(self, address: int, length: int) -> bytes | None:
        return self.read_many([address], length)[0]

    def read_many(self, addresses: list[int], length: int) -> list[bytes | None]:
        assert all(address == AT - 4 for address in addresses)
        return [self.head()[:length]] * len(addresses)

    def head(self) -> bytes:
        found = self.container
        if found is None:
            return bytes(36)
        return struct.pack(
            "<IQQQIi", MAGIC, found.v_table, 0, found.comparator or 0, 5, found.elements
        )


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    made = Memory()
    monkeypatch.setattr(
        container_watch,
        "read_container",
        lambda *_: made.container if made.is_known else None,
    )
    return made


@pytest.fixture
def watch(memory: Memory) -> ContainerWatch:
    target: Any = SimpleNamespace(memory=memory, is_code=lambda _: True)
    return ContainerWatch(target)


def look(watch: ContainerWatch, memory: Memory, *elements: int) -> None:
    """Look once for each number of elements."""
    for number in elements:
        memory.container = state(number)
        watch.look()


def test_a_container_that_grows_steadily_has_grown(watch: ContainerWatch, memory: Memory) -> None:
    watch.note([group()])
    look(watch, memory, 20, 15, 1_030)
    assert watch.elements_start(KEY) == 10
    assert not watch.is_reused(KEY)


@pytest.mark.parametrize(
    "elements",
    [
        (30,),  # looked at too seldom
        (30, 14, 40),  # it fell to less than half
        (30, 0, 40),
        (30, 1_061, 1_062),  # it rose by more than its size and 1,000
    ],
)
def test_what_hardly_fits_one_container_is_no_growth(
    watch: ContainerWatch, memory: Memory, elements: tuple[int, ...]
) -> None:
    watch.note([group()])
    look(watch, memory, *elements)
    assert watch.elements_start(KEY) is None
    assert not watch.is_reused(KEY)


def test_what_living_containers_hold_is_known_from_the_last_look(
    watch: ContainerWatch, memory: Memory
) -> None:
    assert watch.elements() == {}
    watch.note([group()])
    assert watch.elements() == {KEY: 10}
    look(watch, memory, 20, 15)
    assert watch.elements() == {KEY: 15}
    memory.container = None
    watch.look()
    assert watch.elements() == {}


@pytest.mark.parametrize("other", [None, state(10, comparator=OTHER)])
def test_a_container_that_was_gone_has_not_grown_and_stays_known(
    watch: ContainerWatch, memory: Memory, other: ContainerState | None
) -> None:
    watch.note([group()])
    look(watch, memory, 11)
    memory.container = other
    watch.look()
    look(watch, memory, 12, 13, 14)
    assert watch.elements_start(KEY) is None
    assert watch.state(KEY) == state(10)
    assert not watch.is_reused(KEY)


def test_lookups_that_come_after_its_death_were_in_another_one(
    watch: ContainerWatch, memory: Memory
) -> None:
    watch.note([group()])
    memory.container = None
    watch.look()
    memory.container = state(5_000)
    watch.note([group(), group(line=8)])  # these may have been before
    assert (watch.has_died(KEY), watch.is_reused(KEY)) == (True, False)
    watch.note([group()])
    assert watch.is_reused(KEY)


def test_a_window_without_lookups_in_it_tells_what_came_before_its_death(
    watch: ContainerWatch, memory: Memory
) -> None:
    watch.note([group()])
    memory.container = None
    watch.look()
    watch.note([])
    assert not watch.is_reused(KEY)
    watch.note([group()])
    assert watch.is_reused(KEY)


def test_lookups_that_come_while_it_lives_were_in_the_same(
    watch: ContainerWatch, memory: Memory
) -> None:
    for elements in (11, 12, 13):
        watch.note([group()])
        look(watch, memory, elements)
    assert not watch.is_reused(KEY)


def test_what_was_gone_at_once_may_have_been_several(watch: ContainerWatch, memory: Memory) -> None:
    memory.container = None
    watch.note([group()])
    memory.container = state(3)
    look(watch, memory, 4, 5)
    watch.note([group()])
    assert (watch.state(KEY), watch.is_reused(KEY)) == (None, True)
    assert watch.elements_start(KEY) is None


def test_another_number_of_buckets_is_another_container(watch: ContainerWatch) -> None:
    watch.note([group(buckets=1)])
    assert watch.state(ContainerKey(AT, COMPARE, 1)) is None
    watch.note([group(buckets=7)])
    assert watch.state(KEY) == state(10)


def test_buckets_that_were_not_known_are_read(watch: ContainerWatch, memory: Memory) -> None:
    watch.note([group(buckets=0)])
    watch.note([group(buckets=0)])
    look(watch, memory, 11, 12)
    assert watch.state(KEY) == state(10)
    assert watch.elements_start(KEY) == 10


def test_a_container_of_no_known_layout_has_not_died(watch: ContainerWatch, memory: Memory) -> None:
    memory.is_known = False
    for _ in range(3):
        watch.note([group()])
        watch.look()
    assert not watch.is_reused(KEY)
    memory.is_known = True
    watch.note([group()])
    assert watch.state(KEY) == state(10)


def test_only_so_many_are_looked_at(
    watch: ContainerWatch, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_watch, "_MAX_LOOKED_AT", 0)
    watch.note([group()])
    look(watch, memory, 11, 12, 13)
    assert watch.state(KEY) == state(10)
    assert watch.elements_start(KEY) is None
