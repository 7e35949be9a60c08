"""Scenes of the ground-truth module: threads that wait for each other, and the truth about them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.instance import Instance

_LIMIT_S = 60.0
# The function of the module that is on a thread's stack as long as it has a lock.
HOLDING = "have_it_here"


@dataclass(frozen=True)
class Actor:
    """One thread of a scene; addresses are those that pthread functions are called with."""

    tid: int
    has: int | None
    times: int
    wants: int | None
    mode: str
    owner: int | None  # of the lock that it wants
    rest: str  # what it does instead
    function: str  # of the module, in which it waits
    is_timed: bool


@dataclass(frozen=True)
class Scene:
    """All threads of a scene, and when they began to wait: within these two moments."""

    actors: tuple[Actor, ...]
    readers: int
    objects: dict[int, int]  # by lock
    began_ns: int
    settled_ns: int

    @property
    def edges(self) -> set[tuple[int, int, int | None]]:
        """(waiter, lock, owner) of everybody who waits for a lock."""
        return {(one.tid, one.wants, one.owner) for one in self.actors if one.wants is not None}

    @property
    def tids(self) -> set[int]:
        return {one.tid for one in self.actors}

    def circles(self) -> list[list[int]]:
        """Return the tids of each circle, as they wait for each other, from the lowest on."""
        owners = {one.tid: one.owner for one in self.actors if one.owner is not None}
        found = []
        for timed in (one.tid for one in self.actors if one.is_timed):
            way = [timed]
            while (following := owners[way[-1]]) != timed:
                way.append(following)
            first = way.index(min(way))
            found.append(way[first:] + way[:first])
        return sorted(found)


@contextmanager
def scene(asterisk: Instance, words: str) -> Iterator[Scene]:
    """Begin a scene, yield it when every thread is in its place, and end it."""
    began_ns = time.monotonic_ns()
    truth = asterisk.groundtruth(f"wait {words}")
    try:
        actors = tuple(map(_actor, truth["threads"]))
        for actor in actors:
            _wait_in_place(asterisk.pid, actor)
        objects = {_address(lock["address"]): _address(lock["object"]) for lock in truth["locks"]}
        yield Scene(
            actors,
            truth["readers"],
            {lock: thing for lock, thing in objects.items() if lock and thing},
            began_ns,
            time.monotonic_ns(),
        )
    finally:
        asterisk.groundtruth("wait end", _LIMIT_S)


def _address(text: str | None) -> int | None:
    return None if text in (None, "(nil)") else int(str(text), 16)


def _actor(value: dict[str, Any]) -> Actor:
    return Actor(
        value["tid"],
        _address(value["has"]),
        value["times"],
        _address(value["wants"]),
        value["mode"],
        value["owner"] or None,
        value["rest"],
        value["function"],
        value["timed"],
    )


def _wait_in_place(pid: int, actor: Actor) -> None:
    """Return when a thread sleeps in the kernel, or runs if that is what it should do."""
    wanted = "R" if actor.rest == "spin" else "S"
    path = Path(f"/proc/{pid}/task/{actor.tid}/stat")
    deadline = time.monotonic() + _LIMIT_S
    while path.read_text().rpartition(")")[2].split()[0] != wanted:
        assert time.monotonic() < deadline, actor
        time.sleep(0.01)
