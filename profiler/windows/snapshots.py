"""What had been counted and used at the ends of windows."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

from profiler.probes.attach import UprobePrograms
from profiler.process.cpu_clock import ProcessClock
from profiler.wire.lookups import NO_WINDOW, WindowState

_ZERO = struct.pack("<I", 0)


@dataclass(frozen=True, slots=True)
class WindowSnapshot:
    """What had been counted and used at one end of a window."""

    time_ns: int
    cpu_ns: int
    state: WindowState
    run_time_ns: int
    run_count: int

    def cost_ns(self, end: WindowSnapshot) -> float:
        """Return what probes took up to `end`: traps as calibrated, programs by the kernel."""
        traps = end.state.trap_ns - self.state.trap_ns
        return traps + end.run_time_ns - self.run_time_ns


class WindowSnapshots:
    """Reads the state of the open window, the target's CPU clock and the programs' run time."""

    def __init__(self, programs: UprobePrograms, clock: ProcessClock) -> None:
        self._programs = programs
        self._clock = clock

    def state(self) -> WindowState:
        """Return what the programs report about the open window."""
        value = self._programs.module.map("window_state").get(_ZERO)
        return WindowState.decode(value or NO_WINDOW.encode())

    def reset(self) -> None:
        """Forget the last window."""
        self._programs.module.map("window_state").set(_ZERO, NO_WINDOW.encode())

    def read(self, exactly: bool = False) -> WindowSnapshot:
        """Return what is counted and used up to now. `exactly`: the CPU time to some 20 us."""
        cpu = self._clock.read_exactly_ns() if exactly else self._clock.read_ns()
        now, state = time.monotonic_ns(), self.state()
        runs = [program.statistics() for program in self._programs.entry_programs()]
        return WindowSnapshot(
            now,
            cpu,
            state,
            sum(run.run_time_ns for run in runs),
            sum(run.run_count for run in runs),
        )
