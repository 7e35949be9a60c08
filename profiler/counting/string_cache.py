"""Strings that lookups name in the target's memory, read soon after: the target may end."""

from __future__ import annotations

from profiler.process.target import TargetProcess
from profiler.wire.lookups import GroupKey


class StringCache:
    """Strings by address."""

    def __init__(self, target: TargetProcess) -> None:
        self._target = target
        self._texts: dict[int, str] = {}

    def note(self, key: GroupKey) -> None:
        """Read what the key of a new group names."""
        if key.file:
            self.text(key.file)
            self.text(key.function)

    def text(self, address: int) -> str | None:
        """Return the string at an address, None if it could never be read."""
        if address not in self._texts:
            found = self._target.memory.text(address)
            if found is None:
                return None
            self._texts[address] = found
        return self._texts[address]
