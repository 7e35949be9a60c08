from __future__ import annotations

import os
import re
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest

from profiler import links, syscalls
from profiler.links import Links
from profiler.syscalls import UprobePlace
from profiler.uprobes import VARIANTS, ProbePlace, UprobePrograms

SOURCES = Path(__file__).parents[2] / "bpf"
PROGRAM = re.compile(r"^int (\w+)\(struct pt_regs \*ctx\)\n\{\n(.*?)^\}\n", re.M | re.S)


def programs() -> dict[str, str]:
    """Return the body of every program for probes, by its name."""
    texts = (path.read_text() for path in sorted(SOURCES.glob("*.[ch]")))
    return {m[1]: m[2] for text in texts for m in PROGRAM.finditer(text)}


# What probes call first, and what runs at returns only.
FIRST = {"lookup_session", "lookup_entry", "lookup_return"}
FOLLOWING = {name for name in programs() if name.startswith("lookup_")} - FIRST


def test_all_programs_are_looked_at() -> None:
    assert {"lookup_count", "lookup_walk", "lookup_commit", "lookup_unwind"} <= FOLLOWING


@pytest.mark.parametrize("name", sorted(FOLLOWING))
def test_programs_after_the_entry_want_no_return(name: str) -> None:
    """In a session, 0 asks for the return: the kernel then overwrites the word at rsp."""
    answers = re.findall(r"return ([^;]*);", programs()[name])
    assert set(answers) == {"NO_RETURN_PROBE"}


@pytest.mark.parametrize("counting", [False, True])
def test_busy_places_are_placed_last_and_removed_first(
    monkeypatch: pytest.MonkeyPatch, counting: bool
) -> None:
    linked: list[list[int]] = []
    closed: list[int] = []
    first_is_gone = Event()

    def link(_program: int, _kind: int, _path: str, places: list[UprobePlace], *_: object) -> int:
        linked.append([place.file_offset for place in places])
        return len(linked)

    monkeypatch.setattr(syscalls, "link_uprobes", link)

    def close(number: int) -> None:
        closed.append(number)
        first_is_gone.set()

    def sleep(seconds: float) -> None:
        if seconds:  # a head start, however long the other thread waits for a CPU
            first_is_gone.wait(60)

    monkeypatch.setattr(os, "close", close)
    monkeypatch.setattr(links, "time", SimpleNamespace(sleep=sleep))
    programs = UprobePrograms.__new__(UprobePrograms)
    program: Any = SimpleNamespace(descriptor=0)
    programs._entries, programs._tally, programs._returns = program, program, None
    programs.variant, programs._keeper, programs.attached = VARIANTS[0], Links(), False
    places = [
        ProbePlace("/bin/a", offset, 0, 0, with_return, is_busy)
        for offset, with_return, is_busy in ((1, True, True), (2, False, True), (3, True, False))
    ]
    programs.attach(places, 1, counting)
    assert linked == [[3], [1, 2] if counting else [2, 1]]  # who returns is placed last
    programs.detach()
    assert closed == [2, 1]
