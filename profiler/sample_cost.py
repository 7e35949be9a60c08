"""What sampling a thread costs on this machine, measured on ourselves before it begins."""

from __future__ import annotations

import os
import resource
import statistics
import threading
import time
from dataclasses import dataclass

from profiler import syscalls

# A loop of some 300 us meets a dozen interrupts, a seventh of its time or more: at the 100 us of a
# usual high rate the loop's own wavering would be as large as what is measured.
_TIMER_PERIOD_NS = 20_000
_TIMER_BATCHES = 25
_LOOP_STEPS = 20_000
_SWITCH_BATCHES = 50
_SWITCHES = 50
_USUAL_PERIOD_NS = 10_000_000


@dataclass(frozen=True, slots=True)
class SampleCost:
    """Costs in nanoseconds; 0 where events that would tell cannot be opened."""

    interrupt_ns: int  # of one sample, without any program
    switch_ns: int  # that a sampled thread leaves its CPU and comes back


def calibrate_sampling() -> SampleCost:
    """Measure both; takes about 60 ms."""
    return SampleCost(calibrate_interrupt(), calibrate_switch())


def calibrate_interrupt() -> int:
    """Return what the interrupt of one sample costs, in nanoseconds, without any program; 20 ms.

    A loop of ours is timed on its thread's CPU clock with and without an event that fires every
    20 us. 0 when such events cannot be opened.
    """
    differences = []
    for _ in range(_TIMER_BATCHES):
        plain = _loop_cpu_ns()
        try:
            event = syscalls.open_cpu_clock(threading.get_native_id(), _TIMER_PERIOD_NS, False)
        except OSError:
            return 0
        try:
            syscalls.enable_event(event)
            sampled = _loop_cpu_ns()
        finally:
            os.close(event)
        differences.append((sampled - plain) * _TIMER_PERIOD_NS / sampled)
    return max(round(statistics.median(differences)), 0)


def calibrate_switch() -> int:
    """Return what a sampling event adds to each switch of its thread, in nanoseconds; 40 ms.

    We and a child of ours wake each other on one CPU; our own CPU time is read with and without an
    event on us. 0 when such events cannot be opened.
    """
    cpus = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {max(cpus)})
        with Echo() as echo:
            return max(round(statistics.median(_switch_costs(echo))), 0)
    except OSError:
        return 0
    finally:
        os.sched_setaffinity(0, cpus)


def _switch_costs(echo: Echo) -> list[float]:
    costs = []
    for _ in range(_SWITCH_BATCHES):
        plain = echo.per_switch_ns()
        event = syscalls.open_cpu_clock(threading.get_native_id(), _USUAL_PERIOD_NS, True)
        try:
            syscalls.enable_event(event)
            costs.append(echo.per_switch_ns() - plain)
        finally:
            os.close(event)
    return costs


class Echo:
    """A child that answers each byte with one: we leave the CPU and come back."""

    def __enter__(self) -> Echo:
        asked, self._ask = os.pipe()
        self._answered, answer = os.pipe()
        self._child = os.fork()
        if not self._child:
            try:
                os.close(self._ask)
                while os.read(asked, 1):
                    os.write(answer, b"a")
            finally:
                os._exit(0)
        os.close(asked)
        os.close(answer)
        return self

    def per_switch_ns(self) -> float:
        """Return our CPU time for each time that we leave the CPU."""
        switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        start = time.thread_time_ns()
        for _ in range(_SWITCHES):
            os.write(self._ask, b"q")
            os.read(self._answered, 1)
        used = time.thread_time_ns() - start
        return used / max(resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - switches, 1)

    def __exit__(self, *error: object) -> None:
        os.close(self._ask)
        os.close(self._answered)
        os.waitpid(self._child, 0)


def _loop_cpu_ns() -> int:
    start = time.thread_time_ns()
    sum(range(_LOOP_STEPS))
    return time.thread_time_ns() - start
