"""What objects are called, in memory that is made here."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from profiler.leaks.histories import ObservedObject
from profiler.leaks.object_names import OBJECTS_MAX, object_names
from profiler.process.memory import TargetMemory
from tests.unit.leaks.observing import DESTRUCTOR, OBJECT

_APART = 4_096


class Memory(TargetMemory):
    """Pieces of memory; nothing else can be read."""

    def __init__(self, pieces: dict[int, bytes]) -> None:
        self.pieces = pieces
        self.reads = 0

    def read(self, address: int, length: int) -> bytes | None:
        self.reads += 1
        for start, data in self.pieces.items():
            if start <= address and address + length <= start + len(data):
                return data[address - start : address - start + length]
        return None

    def read_ranges(self, ranges: Sequence[tuple[int, int]]) -> list[bytes | None]:
        return [self.read(address, length) for address, length in ranges]


def names(contents: Sequence[bytes], texts: dict[int, bytes] | None = None) -> tuple[str, ...]:
    """Return the names of objects with these contents."""
    pieces = {OBJECT + at * _APART: data for at, data in enumerate(contents)}
    memory = Memory(pieces | {at: text.ljust(128, b"\0") for at, text in (texts or {}).items()})
    objects = [
        ObservedObject(at, address, 0, DESTRUCTOR, len(data), [])
        for at, (address, data) in enumerate(pieces.items())
    ]
    return object_names(memory, objects)


def test_text_of_their_own_that_differs_is_their_name() -> None:
    contents = [b"\1\0\0\0chan_sip\0" + f"peer-{at}".encode() + b"\0" for at in range(5)]
    assert names(contents) == tuple(f"peer-{at}" for at in range(5))


def test_text_behind_a_pointer_is_their_name() -> None:
    texts = {0x7100_0000_0000 + at * _APART: f"pjsip/{at}".encode() for at in range(20)}
    contents = [struct.pack("<QQ", 3, address) for address in texts]
    assert names(contents, texts) == tuple(f"pjsip/{at}" for at in range(20))


def test_objects_of_different_sizes_have_their_names_at_one_place() -> None:
    contents = [b"\0" * 12 + b"x" * at + b"\0" for at in range(3, 9)]
    assert names(contents) == tuple("x" * at for at in range(3, 9))


def test_what_is_the_same_in_all_is_no_name() -> None:
    assert names([b"default\0"] * 9) == ()
    assert names([b"one\0", b"two\0"] * 9) == ()


def test_what_only_some_have_is_no_name() -> None:
    named = [f"name-{at}\0".encode() for at in range(5)]
    assert names([*named, *[b"\0" * 7] * 5]) == ()


def test_what_is_not_printable_or_too_long_is_no_name() -> None:
    assert names([bytes([1 + at]) * 40 + b"\0" for at in range(5)]) == ()
    assert names([f"{at}".encode() * 90 + b"\0" for at in range(5)]) == ()
    assert names([b"\x1b[31m" + bytes([200 + at]) + b"\0" for at in range(5)]) == ()


def test_pointers_to_nowhere_and_objects_that_are_gone_do_no_harm() -> None:
    assert names([struct.pack("<QQQ", 0, 1 << 63, 0x7200_0000_0000 + at) for at in range(5)]) == ()
    gone = [ObservedObject(1, OBJECT, 0, DESTRUCTOR, 64, [])] * 5
    assert object_names(Memory({}), gone) == ()
    assert object_names(Memory({}), []) == ()


def test_what_is_read_is_bounded() -> None:
    pointers = struct.pack("<Q", OBJECT) * 100_000
    memory = Memory({OBJECT: pointers})
    many = [ObservedObject(1, OBJECT, 0, DESTRUCTOR, len(pointers), [])] * 10_000
    assert object_names(memory, many) == ()
    assert memory.reads < 10_000
    named = [f"name-{at}\0".encode() for at in range(3 * OBJECTS_MAX)]
    assert len(names(named)) == OBJECTS_MAX
