from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.counting.string_cache import StringCache
from profiler.wire.lookups import GroupKey

KEY = GroupKey(0x1000, 0x40, file=0x2000, function=0x2100, line=7, flags=0, entry=0)


class Memory:
    """A target whose strings can vanish."""

    def __init__(self) -> None:
        self.texts = {0x2000: "chan_sip.c", 0x2100: "build_peer"}

    def text(self, address: int) -> str | None:
        return self.texts.get(address)


@pytest.fixture
def memory() -> Memory:
    return Memory()


def cache(memory: Memory) -> StringCache:
    target: Any = SimpleNamespace(memory=memory)
    return StringCache(target)


def test_what_was_noted_survives_the_target(memory: Memory) -> None:
    known = cache(memory)
    known.note(KEY)
    memory.texts.clear()
    assert (known.text(0x2000), known.text(0x2100)) == ("chan_sip.c", "build_peer")


def test_what_was_never_readable_is_unknown_and_asked_for_again(memory: Memory) -> None:
    known = cache(memory)
    assert known.text(0x3000) is None
    memory.texts[0x3000] = "late"
    assert known.text(0x3000) == "late"


def test_without_a_file_nothing_is_read_as_text(memory: Memory) -> None:
    known = cache(memory)
    known.note(replace(KEY, file=0, function=0x2100))
    memory.texts.clear()
    assert known.text(0x2100) is None
