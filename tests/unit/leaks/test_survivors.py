"""What is seen of objects in memory that is made here."""

from __future__ import annotations

import struct

import pytest

from profiler.leaks.histories import ObservedObject
from profiler.leaks.survivors import Look, State, look
from profiler.process.memory import TargetMemory
from tests.unit.leaks.observing import DESTRUCTOR, OBJECT

LIVE, WEAK, FREED = 0xA70B_123 << 4 | 8, 0xA70B_122 << 4, 8
CONTENT = bytes(range(64))


class Memory(TargetMemory):
    """One piece of memory that ends with an object."""

    def __init__(self, data: bytes, header_bytes: int = 32) -> None:
        self.data, self.start = data, OBJECT - header_bytes

    def read(self, address: int, length: int) -> bytes | None:
        at = address - self.start
        return self.data[at : at + length] if 0 <= at <= len(self.data) - length else None

    def read_many(self, addresses: list[int], length: int) -> list[bytes | None]:
        return [self.read(address, length) for address in addresses]


def object_bytes(
    destructor: int = DESTRUCTOR, references: int = 2, magic: int = LIVE, content: bytes = CONTENT
) -> bytes:
    return struct.pack("<QQQiI", 0, destructor, 0, references, magic) + content


def seen(data: bytes, content: bytes | None = None, size_bytes: int = 64) -> Look:
    observed = ObservedObject(1, OBJECT, 0, DESTRUCTOR, size_bytes, [], content=content)
    (found,) = look(Memory(data), [observed])
    return found


@pytest.mark.parametrize("magic", [LIVE, WEAK])
def test_a_live_object_is_seen_with_its_references(magic: int) -> None:
    found = seen(object_bytes(magic=magic))
    assert (found.state, found.references, found.content) == (State.ALIVE, 2, CONTENT)


@pytest.mark.parametrize(
    "data",
    [
        object_bytes(magic=FREED),
        object_bytes(destructor=0x1234),
        object_bytes(references=0),
        object_bytes(references=-1),
        b"",
    ],
    ids=["no magic", "another destructor", "no reference", "negative", "unmapped"],
)
def test_what_is_no_such_object_is_gone(data: bytes) -> None:
    assert seen(data).state is State.GONE


def test_the_destructor_may_lie_before_a_size() -> None:
    data = struct.pack("<QQQiI", DESTRUCTOR, 64, 0, 1, LIVE) + CONTENT
    assert seen(data).state is State.ALIVE


def test_other_content_than_before_may_be_another_object() -> None:
    assert seen(object_bytes(), CONTENT).state is State.ALIVE
    assert seen(object_bytes(), CONTENT[:-1] + b"\xff").state is State.UNSURE


def test_what_lies_behind_a_small_object_is_not_its_content() -> None:
    assert seen(object_bytes(), CONTENT[:16], size_bytes=16).state is State.ALIVE


def test_the_last_object_of_a_mapping_is_read_without_its_content() -> None:
    assert seen(object_bytes(content=b"")).state is State.ALIVE
