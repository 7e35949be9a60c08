"""The programs' room for threads: each that makes a lookup takes a slot and keeps it."""

from __future__ import annotations

import struct

from profiler.linux.module import BpfModule

_ZERO = struct.pack("<I", 0)
_SCARCE_RATIO = 0.75


class ThreadStates:
    """Frees the slots when most are taken: a PBX can have a new thread for each call."""

    def __init__(self, module: BpfModule) -> None:
        self._module = module

    @property
    def are_scarce(self) -> bool:
        """Return whether lookups of new threads may soon be lost."""
        seen = struct.unpack("<I", self._module.map("threads_seen").get(_ZERO) or bytes(4))[0]
        return bool(seen > _SCARCE_RATIO * self._module.map("threads").max_entries)

    def clear(self) -> None:
        """Free all slots. Only while no probe is placed: nothing else keeps programs from them."""
        self._module.map("threads").clear()
        self._module.map("threads_seen").set(_ZERO, bytes(4))
