"""Containers that objects are linked into, and how their sizes go."""

from __future__ import annotations

from dataclasses import dataclass, field

from profiler.asterisk.containers import HEAD_BEFORE, HEAD_BYTES, parse_head, read_container
from profiler.model.observed import ContainerState
from profiler.process.target import TargetProcess

MAX_CONTAINERS = 1_000
MAX_SIZES = 512  # of one; when there are more, every second one is left out


@dataclass(slots=True)
class SizedContainer:
    """One container; `state` is as it was first read."""

    address: int
    state: ContainerState
    sizes: list[tuple[int, int]] = field(default_factory=list)  # (time_ns, elements)
    is_gone: bool = False

    def add(self, time_ns: int, elements: int) -> None:
        """Keep a size."""
        self.sizes.append((time_ns, elements))
        if len(self.sizes) > MAX_SIZES:
            del self.sizes[1:-1:2]


class ContainerSizes:
    """Reads containers from when something is first linked into them."""

    def __init__(self, target: TargetProcess) -> None:
        self._target = target
        self._known: dict[int, SizedContainer | None] = {}  # None: no container was there

    @property
    def containers(self) -> tuple[SizedContainer, ...]:
        """All that were read."""
        return tuple(found for found in self._known.values() if found is not None)

    def note(self, address: int, time_ns: int) -> None:
        """Begin to look at a container."""
        if address in self._known or len(self._known) >= MAX_CONTAINERS:
            return
        state = read_container(self._target.memory, address, self._target.is_code)
        self._known[address] = None if state is None else SizedContainer(address, state)
        found = self._known[address]
        if found is not None:
            found.add(time_ns, found.state.elements)

    def look(self, time_ns: int) -> None:
        """Read the sizes of all that are still there."""
        standing = [found for found in self.containers if not found.is_gone]
        at = [found.address - HEAD_BEFORE for found in standing]
        for found, data in zip(
            standing, self._target.memory.read_many(at, HEAD_BYTES), strict=True
        ):
            head = parse_head(data) if data is not None else None
            if head is None or not head.is_of(found.state):
                found.is_gone = True
            else:
                found.add(time_ns, head.elements)
