"""What measured lookups name in the target's memory, read soon after: the target may end, and most
containers of a call live no longer than the call.
"""

from __future__ import annotations

from profiler.asterisk.containers import read_container
from profiler.model.observed import ContainerKey, ContainerState
from profiler.process.target import TargetProcess
from profiler.wire.lookups import GroupKey

_MAX_CONTAINERS = 4_000


class StringCache:
    """Strings by address, and containers as they were when the first lookup in them was over."""

    def __init__(self, target: TargetProcess) -> None:
        self._target = target
        self._texts: dict[int, str] = {}
        self.containers: dict[ContainerKey, ContainerState] = {}

    def note(self, key: GroupKey) -> None:
        """Read what the key of a new group names."""
        if key.file:
            self.text(key.file)
            self.text(key.function)
        identity = (key.container, key.comparator)
        if identity not in self.containers and len(self.containers) < _MAX_CONTAINERS:
            state = read_container(self._target.memory, key.container, self._target.is_code)
            # Another comparator: that one is gone, and another container has its place.
            if state is not None and (state.comparator or 0) == key.comparator:
                self.containers[identity] = state

    def text(self, address: int) -> str | None:
        """Return the string at an address, None if it could never be read."""
        if address not in self._texts:
            found = self._target.memory.text(address)
            if found is None:
                return None
            self._texts[address] = found
        return self._texts[address]
