"""The process that is profiled, with what reads it: made once, and handed to all who look at it."""

from __future__ import annotations

from dataclasses import dataclass

from profiler.process.cpu_clock import ProcessClock
from profiler.process.mappings import TargetCode
from profiler.process.memory import TargetMemory


@dataclass(frozen=True, slots=True)
class TargetProcess:
    """One process, and the readers of its memory, its CPU clock and its code."""

    pid: int
    start_ticks: int  # tells it from a later process with the same pid
    memory: TargetMemory
    clock: ProcessClock
    code: TargetCode

    @classmethod
    def open(cls, pid: int, start_ticks: int) -> TargetProcess:
        """Make the readers; nothing is read yet."""
        return cls(pid, start_ticks, TargetMemory(pid), ProcessClock(pid), TargetCode(pid))

    def is_code(self, address: int) -> bool:
        """Return whether code was mapped at an address when `code` was last refreshed."""
        return self.code.at(address) is not None
