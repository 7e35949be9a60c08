"""Hardware watchpoints: how often code touches eight bytes of the target's memory.

A debug register of the CPU holds the address; whoever touches it in user mode traps into the
kernel, which counts and lets it go on. Nothing in the target's memory is changed, and a trap is
paid for each touch only, however often the code that does it runs elsewhere.
"""

from __future__ import annotations

import ctypes
import errno
import os
import statistics
import threading
import time

from profiler import syscalls
from profiler.cpus import online_cpus
from profiler.kernel import Program

_BATCHES = 5
_HITS = 20


def hit_cost_ns() -> float:
    """Return the CPU time that a hit costs now, measured on ourselves; takes about 1 ms.

    Raises OSError when there are no watchpoints to be had.
    """
    word = ctypes.c_uint64()
    event = syscalls.open_watchpoint(ctypes.addressof(word), tid=threading.get_native_id())
    costs = []
    try:
        for _ in range(_BATCHES):
            plain = _touch(word)
            before, _ = syscalls.read_event(event)
            syscalls.enable_event(event)
            watched = _touch(word)
            syscalls.disable_event(event)
            hits = syscalls.read_event(event)[0] - before
            if not hits:
                raise OSError(errno.EOPNOTSUPP, "watchpoints do not work here")
            costs.append(max(watched - plain, 0) / hits)
    finally:
        os.close(event)
    return statistics.median(costs)


def _touch(word: ctypes.c_uint64) -> int:
    start = time.thread_time_ns()
    for _ in range(_HITS):
        word.value  # noqa: B018  # reading it is the point
    return time.thread_time_ns() - start


class ThreadWatchpoint:
    """Counts on one thread from its creation until `close`. Raises OSError."""

    def __init__(self, address: int, tid: int) -> None:
        self._event = syscalls.open_watchpoint(address, tid=tid)
        syscalls.enable_event(self._event)

    def close(self) -> tuple[int, int]:
        """Take it away; return its hits, and the thread's CPU time meanwhile in nanoseconds."""
        try:
            syscalls.disable_event(self._event)
            return syscalls.read_event(self._event)
        finally:
            os.close(self._event)


class CpuWatchpoints:
    """Runs a program on each hit on any CPU, while it is on. Raises OSError."""

    def __init__(self, address: int, program: Program) -> None:
        self._events: list[int] = []
        self._before = 0
        try:
            for cpu in online_cpus():
                event = syscalls.open_watchpoint(address, cpu=cpu, is_sampled=True)
                self._events.append(event)
                syscalls.let_run_program(event, program.descriptor)
        except OSError:
            self.close()
            raise

    def turn_on(self) -> None:
        """Begin to watch; takes some 10 us for each CPU."""
        self._before = self._hits()
        for event in self._events:
            syscalls.enable_event(event)

    def turn_off(self) -> int:
        """Watch no more; return how many hits there were, of whatever process."""
        for event in self._events:
            syscalls.disable_event(event)
        return self._hits() - self._before

    def _hits(self) -> int:
        return sum(syscalls.read_event(event)[0] for event in self._events)

    def close(self) -> None:
        """Take all of them away."""
        events, self._events = self._events, []
        syscalls.close_all(events)
