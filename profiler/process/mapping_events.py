"""Reports at once that the target maps code: it loads a module, or executes another program.

One perf event on each CPU writes a record of every executable mapping that is made there, by
whatever process. Those of others are dropped here.
"""

from __future__ import annotations

import os
import select
from contextlib import ExitStack, suppress

from profiler.linux.cpus import online_cpus
from profiler.linux.perf_events import open_code_mappings
from profiler.linux.perf_ring import RECORD_LOST, PerfRing


class MappingEvents:
    """Listens to all CPUs that the kernel lets it; `descriptor` is readable when records came."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._poll = select.epoll()
        self.descriptor = self._poll.fileno()
        self._listened: dict[int, tuple[int, PerfRing]] = {}  # by CPU
        self.follow_cpus()

    def follow_cpus(self) -> None:
        """Listen to the CPUs that are online now, and no others."""
        online = online_cpus()
        for cpu in self._listened.keys() - set(online):
            self._leave(cpu)
        for cpu in online:
            if cpu not in self._listened:
                with suppress(OSError):  # refused: then code is looked at once a second only
                    self._listen(cpu)

    def _listen(self, cpu: int) -> None:
        event = open_code_mappings(cpu)
        with ExitStack() as undo:
            undo.callback(os.close, event)
            ring = PerfRing(event)
            undo.callback(ring.close)
            self._poll.register(event, select.EPOLLIN)
            self._listened[cpu] = event, ring
            undo.pop_all()

    def _leave(self, cpu: int) -> None:
        event, ring = self._listened.pop(cpu)
        ring.close()
        os.close(event)  # which ends that it is polled

    def has_mapped(self) -> bool:
        """Return whether the target mapped code since the last call, or may have."""
        records = [record for _, ring in self._listened.values() for record in ring.drain()]
        return any(kind == RECORD_LOST or _pid_of(body) == self._pid for kind, body in records)

    def close(self) -> None:
        """Listen no more."""
        for cpu in tuple(self._listened):
            self._leave(cpu)
        self._poll.close()


def _pid_of(mapped: bytes) -> int:
    # The record begins with the process, as a pid in the namespace of who opened the event.
    return int.from_bytes(mapped[:4], "little")
