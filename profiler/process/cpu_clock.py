"""The CPU time that a process has used, to the moment."""

from __future__ import annotations

import os
import time
from contextlib import suppress

# clockid_t of a process: its pid, inverted, above CPUCLOCK_SCHED (linux/posix-timers_types.h).
_SCHEDULED = 2
_MOST_CPUS = 32


class ProcessClock:
    """The CPU time of all threads of one process, ended ones included, in nanoseconds.

    The kernel adds up what a thread used when it leaves its CPU and at every tick of the scheduler,
    so a plain reading lags behind by up to a tick (4 ms on many kernels) for each running thread
    (thread_group_cputime() in kernel/sched/cputime.c).
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._clock = (~pid << 3) | _SCHEDULED
        self._last_ns = 0

    def read_ns(self) -> int:
        """Return what was used up to the last tick; of a process that ended what was last read."""
        with suppress(OSError):
            self._last_ns = time.clock_gettime_ns(self._clock)
        return self._last_ns

    def read_exactly_ns(self) -> int:
        """Return the same without the lag, to some 20 us; takes about 20 us for each CPU.

        We run on each CPU that the process may use for a moment, before its threads if we run at
        real-time priority: so they leave it, and what they used is added up. With more than 32
        CPUs that would take too long, and this is a plain reading.
        """
        with suppress(OSError):
            own, cpus = os.sched_getaffinity(0), os.sched_getaffinity(self._pid)
            if len(cpus) <= _MOST_CPUS:
                _visit(cpus, own)
        return self.read_ns()


def _visit(cpus: set[int], own: set[int]) -> None:
    """Run on each of the CPUs, as far as we may, then where we ran before."""
    try:
        for cpu in cpus:
            with suppress(OSError):  # offline, or not in our cpuset
                os.sched_setaffinity(0, (cpu,))
    finally:
        os.sched_setaffinity(0, own)
