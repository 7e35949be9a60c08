"""Where all entries of lookups went, as the programs count it."""

from __future__ import annotations

import struct

from profiler.linux.module import BpfModule
from profiler.wire.lookups import LookupCounter


class LookupCounters:
    """Reads the programs' counters; one of them is also ours."""

    def __init__(self, module: BpfModule) -> None:
        self._map = module.map("lookup_counters")

    def read(self) -> dict[LookupCounter, int]:
        """Return all counters."""
        return {counter: self._value(counter) for counter in LookupCounter}

    def add_unfinished(self, lookups: int) -> None:
        """Count lookups that never returned as lost; only while no program runs."""
        if lookups:
            value = self._value(LookupCounter.UNFINISHED) + lookups
            self._map.set(struct.pack("<I", LookupCounter.UNFINISHED), struct.pack("<Q", value))

    def _value(self, counter: LookupCounter) -> int:
        return int.from_bytes(self._map.get(struct.pack("<I", counter)) or bytes(8), "little")
