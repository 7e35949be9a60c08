"""Containers that measured lookups went through, and whether each is still the same one.

Memory is used again: the address of a container that was freed may become another one's, and
nothing in a container says when it was made. So each is read soon after the first lookups in it,
and again several times a second. One that is gone by then, or has another head, has died. Where
lookups are measured after that, several containers followed each other at one address.
"""

from __future__ import annotations

from collections.abc import Iterable

from profiler.asterisk.containers import (
    HEAD_BEFORE,
    HEAD_BYTES,
    parse_head,
    read_container,
)
from profiler.model.observed import ContainerKey, ContainerState
from profiler.process.memory import TargetMemory
from profiler.process.target import TargetProcess
from profiler.wire.lookups import GroupKey

_MAX_CONTAINERS = 4_000
_MAX_LOOKED_AT = 1_000
_LEAST_LOOKS = 3
# Between two looks, 0.2 s apart, one container hardly comes to more than twice its size and this.
_MOST_STEP = 1_000


class ContainerWatch:
    """Reads containers when lookups in them are noted, and looks whether they are still there."""

    def __init__(self, target: TargetProcess) -> None:
        self._target = target
        self._lives: dict[ContainerKey, _Life] = {}
        self._watched: list[_Life] = []
        self._notes = 0

    def note(self, keys: Iterable[GroupKey]) -> None:
        """Take note of which groups lookups were measured since the last time."""
        self._notes += 1
        for key in keys:
            identity = ContainerKey(key.container, key.comparator, key.buckets)
            life = self._lives.get(identity)
            if life is not None:
                life.note(self._notes)
            elif len(self._lives) < _MAX_CONTAINERS:
                self._begin(identity)

    def _begin(self, identity: ContainerKey) -> None:
        memory, address = self._target.memory, identity.address
        state = read_container(memory, address, self._target.is_code)
        if state is None and _has_comparator(memory, identity):
            return  # alive, but what it is cannot be told yet
        # With another comparator it is another one, which has the place of one that is gone.
        if state is not None and (state.comparator or 0) != identity.comparator:
            state = None
        if state is not None and not identity.buckets:
            identity = identity._replace(buckets=state.buckets or 0)
        elif state is not None and state.buckets != identity.buckets:
            state = None
        life = self._lives.setdefault(identity, _Life(identity, state))
        if not life.has_died and len(self._watched) < _MAX_LOOKED_AT:
            self._watched.append(life)

    def look(self) -> None:
        """Look at all that were there at the last look."""
        at = [life.key.address - HEAD_BEFORE for life in self._watched]
        heads = self._target.memory.read_many(at, HEAD_BYTES)
        for life, head in zip(self._watched, heads, strict=True):
            life.look(head, self._notes)
        self._watched = [life for life in self._watched if not life.has_died]

    def elements(self) -> dict[ContainerKey, int]:
        """Return what each container that is still the same held at the last look."""
        return {life.key: life.elements for life in self._watched}

    def state(self, key: ContainerKey) -> ContainerState | None:
        """Return a container as it was when it was first read, None if it was gone by then."""
        life = self._lives.get(key)
        return life.state if life else None

    def has_died(self, key: ContainerKey) -> bool:
        """Return whether it was seen to be gone, whatever is there now."""
        life = self._lives.get(key)
        return life is not None and life.has_died

    def is_reused(self, key: ContainerKey) -> bool:
        """Return whether lookups at this address were in several containers, one after another."""
        life = self._lives.get(key)
        return life is not None and life.is_reused

    def elements_start(self, key: ContainerKey) -> int | None:
        """Return what it held when first read; None unless it was one container ever since."""
        life = self._lives.get(key)
        return life.elements_start if life else None


def _has_comparator(memory: TargetMemory, identity: ContainerKey) -> bool:
    data = memory.read(identity.address - HEAD_BEFORE, HEAD_BYTES)
    head = parse_head(data) if data is not None else None
    return head is not None and (head.comparator or 0) == identity.comparator


class _Life:
    """What was seen at one address."""

    def __init__(self, key: ContainerKey, state: ContainerState | None) -> None:
        self.key = key
        self.state = state
        self.has_died = state is None
        self._died_after = 0  # so many notes
        self.is_reused = self.has_died  # so soon that there may have been several
        self._first = self.elements = self._most = state.elements if state else 0
        self._is_steady = True
        self._looks = 1

    def note(self, notes: int) -> None:
        # Lookups of the first note after its death may have been before it.
        self.is_reused |= self.has_died and notes > self._died_after + 1

    def look(self, head: bytes | None, notes: int) -> None:
        now = parse_head(head) if head is not None else None
        if now is None or self.state is None or not now.is_of(self.state):
            self.has_died, self._died_after = True, notes
            return
        self._looks += 1
        self._is_steady &= self._most <= 2 * now.elements
        self._is_steady &= now.elements <= 2 * self.elements + _MOST_STEP
        self.elements, self._most = now.elements, max(self._most, now.elements)

    @property
    def elements_start(self) -> int | None:
        is_one = self._is_steady and not self.has_died and self._looks >= _LEAST_LOOKS
        return self._first if is_one else None
