from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from profiler.asterisk.container_calls import SourcePlace
from profiler.model.recording import CallSite, Frame
from profiler.record.assembly.call_sites import CallSites
from profiler.wire.lookups import GroupKey

NAMED = Frame(0x1FF, 0, 0xFF, 0x80, "handle_request", "symtab")
UNNAMED = Frame(0x2FF, 0, 0x1FF, 0x180, None, None)
UNKNOWN = Frame(0x3FF, None, None, None, None, None)
FRAMES = {frame.address: frame for frame in (NAMED, UNNAMED, UNKNOWN)}
NAMES: Any = SimpleNamespace(
    frames=lambda addresses: tuple(FRAMES[address] for address in addresses),
    path=lambda address: None if address == 0x3FF else "/usr/lib/chan_fake.so",
)
TEXTS = {1: "a.c", 2: "measured", 3: None}


def key(file: int, function: int, line: int) -> GroupKey:
    return GroupKey(10, 20, file, function, line, 0, 0)


def sites(*keys: GroupKey) -> CallSites:
    lookups: Any = SimpleNamespace(groups=dict.fromkeys(keys), texts=TEXTS)
    return CallSites(NAMES, lookups)


def test_what_windows_measured_comes_first() -> None:
    made = sites(key(1, 2, 7), key(1, 2, 8))
    assert made.sites == (CallSite("a.c", 7, "measured"), CallSite("a.c", 8, "measured"))
    assert made.index(CallSite("b.c", 1, "sampled")) == 2
    assert made.index(made.of_key(key(1, 2, 8))) == 1


@pytest.mark.parametrize("function", ["measured", None])
def test_a_sampled_call_of_the_same_line_is_the_same_place(function: str | None) -> None:
    made = sites(key(1, 2, 7))
    assert made.index(made.of_call(0x200, SourcePlace("a.c", 7, function))) == 0


def test_the_same_line_of_another_function_is_another_place() -> None:
    made = sites(key(1, 2, 7))
    assert made.of_call(0x200, SourcePlace("a.c", 7, "other")) == CallSite("a.c", 7, "other")


@pytest.mark.parametrize(
    ("address", "caller"),
    [(0x1FF, "handle_request"), (0x2FF, "chan_fake.so+0x180"), (0x3FF, "0x3ff")],
)
def test_a_call_without_a_place_has_its_caller(address: int, caller: str) -> None:
    found = sites().of_call(address, SourcePlace(None, 7, None))
    assert found == CallSite(None, None, caller)
    assert sites().of_key(key(0, address + 1, 0)) == found  # as Asterisk 13 has it


def test_a_text_that_could_not_be_read_is_its_address() -> None:
    assert sites().of_key(key(1, 3, 7)) == CallSite("a.c", 7, "0x3")
    assert sites().of_key(key(3, 2, 7)) == CallSite(None, 7, "measured")
