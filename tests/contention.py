"""Threads of the lab module that take one lock again and again, and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lab.instance import Instance

_LIMIT_S = 60.0


@dataclass(frozen=True)
class Truth:
    """What they saw themselves; the waits of turns that did not have to wait are not counted."""

    lock: int
    object: int | None
    tids: tuple[int, ...]
    turns: int
    waits: int  # times that a thread left its CPU for the lock
    waited: int  # turns that had to wait
    total_ns: int
    longest_ns: int
    held_ns: int
    role: str
    waits_in: str
    held_in: str


def start(asterisk: Instance, words: str) -> None:
    """Begin to contend; it goes on in the background."""
    asterisk.groundtruth(f"contend start {words}")


def end(asterisk: Instance) -> Truth:
    """Wait until all turns are taken, and return the truth."""
    told: dict[str, Any] = asterisk.groundtruth("contend end", _LIMIT_S)
    lock, thing = told.pop("lock"), told.pop("object")
    return Truth(
        lock=int(lock, 16),
        object=None if thing == "(nil)" else int(thing, 16),
        tids=tuple(told.pop("tids")),
        **told,
    )
