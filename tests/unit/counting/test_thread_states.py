"""Places for threads are freed before they run out."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from profiler.counting.thread_states import ThreadStates
from tests.unit.fake_maps import Map, Module

PLACES = Map.max_entries
ZERO = bytes(4)


@pytest.fixture
def module() -> Any:
    return Module()


@pytest.mark.parametrize(("seen", "scarce"), [(0, False), (12, False), (13, True), (16, True)])
def test_a_quarter_is_kept_for_those_who_come_meanwhile(
    module: Any, seen: int, scarce: bool
) -> None:
    module.map("threads_seen")[ZERO] = struct.pack("<I", seen)
    assert ThreadStates(module).are_scarce == scarce


def test_nothing_is_left_of_any_thread(module: Any) -> None:
    for index in range(PLACES):
        module.map("threads")[struct.pack("<I", 1000 + index)] = bytes(8)
    module.map("threads_seen")[ZERO] = struct.pack("<I", PLACES)
    states = ThreadStates(module)
    states.clear()
    assert not module.map("threads")
    assert module.map("threads_seen")[ZERO] == bytes(4)
    assert not states.are_scarce
