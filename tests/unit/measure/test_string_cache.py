from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.asterisk.containers import IsCode
from profiler.measure import string_cache
from profiler.measure.string_cache import StringCache
from profiler.model.observed import ContainerState
from profiler.process.memory import TargetMemory
from profiler.wire.lookups import GroupKey, Kind, Layout

KEY = GroupKey(0x1000, 0x40, file=0x2000, function=0x2100, line=7, flags=0, entry=0)
STATE = ContainerState(1, None, 0x40, 0x50, 3, 7, Layout(Kind.HASH, 56, 16, 48))


class Memory:
    """A target whose strings and containers can vanish."""

    def __init__(self) -> None:
        self.texts = {0x2000: "chan_sip.c", 0x2100: "build_peer"}
        self.containers = {0x1000: STATE}

    def text(self, address: int) -> str | None:
        return self.texts.get(address)


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch) -> Memory:
    def read(memory: TargetMemory, address: int, is_code: IsCode) -> ContainerState | None:
        assert isinstance(memory, Memory)
        return memory.containers.get(address)

    monkeypatch.setattr(string_cache, "read_container", read)
    return Memory()


def cache(memory: Memory) -> StringCache:
    target: Any = SimpleNamespace(memory=memory, is_code=lambda _: True)
    return StringCache(target)


def test_what_was_noted_survives_the_target(memory: Memory) -> None:
    known = cache(memory)
    known.note(KEY)
    memory.texts.clear()
    memory.containers.clear()
    assert (known.text(0x2000), known.text(0x2100)) == ("chan_sip.c", "build_peer")
    assert known.containers == {(0x1000, 0x40): STATE}


def test_what_was_never_readable_is_unknown_and_asked_for_again(memory: Memory) -> None:
    known = cache(memory)
    assert known.text(0x3000) is None
    memory.texts[0x3000] = "late"
    assert known.text(0x3000) == "late"


def test_another_container_at_the_same_address_is_not_taken_for_it(memory: Memory) -> None:
    known = cache(memory)
    known.note(replace(KEY, comparator=0x41))
    assert known.containers == {}


def test_without_a_file_nothing_is_read_as_text(memory: Memory) -> None:
    known = cache(memory)
    known.note(replace(KEY, file=0, function=0x2100))
    memory.texts.clear()
    assert known.text(0x2100) is None
