"""Places for threads are freed before they run out."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.measure.thread_states import ThreadStates

PLACES = 16
ZERO = bytes(4)


class Map(dict[bytes, bytes]):
    """A BPF map in memory."""

    set = dict.__setitem__
    max_entries = PLACES
    user_value_size = 16

    def delete(self, key: bytes) -> None:
        del self[key]


@pytest.fixture
def maps() -> dict[str, Map]:
    names = ("threads", "thread_owners", "thread_states", "threads_seen", "last_thread")
    return {name: Map() for name in names}


@pytest.fixture
def states(maps: dict[str, Map]) -> ThreadStates:
    module: Any = SimpleNamespace(map=maps.__getitem__)
    return ThreadStates(module)


@pytest.mark.parametrize(("seen", "scarce"), [(0, False), (12, False), (13, True), (16, True)])
def test_a_quarter_is_kept_for_those_who_come_meanwhile(
    states: ThreadStates, maps: dict[str, Map], seen: int, scarce: bool
) -> None:
    maps["threads_seen"][ZERO] = struct.pack("<I", seen)
    assert states.are_scarce == scarce


def test_nothing_is_left_of_any_thread(states: ThreadStates, maps: dict[str, Map]) -> None:
    for index in range(PLACES):
        maps["threads"][struct.pack("<I", 1000 + index)] = struct.pack("<I", index)
        maps["thread_owners"][struct.pack("<I", index)] = struct.pack("<I", 1000 + index)
    maps["threads_seen"][ZERO] = struct.pack("<I", PLACES)
    maps["last_thread"][ZERO] = struct.pack("<2Q", 1001 << 32 | 1, 1002 << 32 | 2)
    states.clear()
    assert not maps["threads"] and not maps["thread_owners"]
    assert maps["threads_seen"][ZERO] == bytes(4)
    assert maps["last_thread"][ZERO] == bytes(16)
    assert not states.are_scarce
