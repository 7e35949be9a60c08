"""Sizes of containers over time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from profiler.asterisk.containers import HEAD_BEFORE
from profiler.leaks import containers
from profiler.leaks.containers import MAX_CONTAINERS, MAX_SIZES, ContainerSizes, SizedContainer
from profiler.model.observed import ContainerState
from profiler.wire.lookups import Kind, Layout

STATE = ContainerState(0x10, None, 0x20, 0x30, 3, 7, Layout(Kind.HASH, 56, 16, 48))
MAGIC = (0xA70B_123 << 4).to_bytes(4, "little")


def head(elements: int, comparator: int = 0x20) -> bytes:
    words = (0x10, 0, comparator)
    numbers = (0).to_bytes(4, "little") + elements.to_bytes(4, "little")
    return MAGIC + b"".join(word.to_bytes(8, "little") for word in words) + numbers


class Memory:
    """Heads of containers by their addresses."""

    def __init__(self) -> None:
        self.heads: dict[int, bytes] = {}

    def read_many(self, addresses: list[int], _length: int) -> list[bytes | None]:
        return [self.heads.get(address + HEAD_BEFORE) for address in addresses]


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setattr(
        containers,
        "read_container",
        lambda memory, address, _is_code: STATE if address in memory.heads else None,
    )
    return Memory()


def sizes(memory: Memory) -> ContainerSizes:
    target: Any = SimpleNamespace(memory=memory, is_code=lambda _address: True)
    return ContainerSizes(target)


def test_sizes_are_read_from_when_it_was_noted(memory: Memory) -> None:
    memory.heads[0x100] = head(3)
    watched = sizes(memory)
    watched.note(0x100, 10)
    memory.heads[0x100] = head(5)
    watched.look(20)
    (found,) = watched.containers
    assert found.sizes == [(10, 3), (20, 5)]


@pytest.mark.parametrize("after", [None, head(4, comparator=0x99)], ids=["freed", "another"])
def test_what_has_another_head_is_looked_at_no_more(memory: Memory, after: bytes | None) -> None:
    memory.heads[0x100] = head(3)
    watched = sizes(memory)
    watched.note(0x100, 10)
    memory.heads.pop(0x100)
    if after is not None:
        memory.heads[0x100] = after
    watched.look(20)
    (found,) = watched.containers
    assert (found.is_gone, found.sizes) == (True, [(10, 3)])


def test_what_is_no_container_is_left_out(memory: Memory) -> None:
    watched = sizes(memory)
    watched.note(0x100, 10)
    watched.look(20)
    assert watched.containers == ()


def test_so_many_containers_are_read_and_no_more(memory: Memory) -> None:
    memory.heads = {address: head(3) for address in range(1, MAX_CONTAINERS + 2)}
    watched = sizes(memory)
    for address in memory.heads:
        watched.note(address, 10)
    assert len(watched.containers) == MAX_CONTAINERS


def test_of_many_sizes_first_and_last_are_kept() -> None:
    found = SizedContainer(0x100, STATE)
    for time_ns in range(10 * MAX_SIZES):
        found.add(time_ns, time_ns)
    assert len(found.sizes) <= MAX_SIZES
    assert (found.sizes[0], found.sizes[-1]) == ((0, 0), (10 * MAX_SIZES - 1,) * 2)
