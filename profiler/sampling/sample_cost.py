"""What the interrupt of one sample costs on this machine, measured on ourselves once in a boot."""

from __future__ import annotations

import os
import statistics
import threading
import time

from profiler import disk_cache
from profiler.errors import scarcity
from profiler.linux import perf_events

ASSUMED_INTERRUPT_NS = 12_000  # where it cannot be measured: as on a virtual machine with 2 CPUs
# A loop of some 300 us meets a dozen interrupts, a seventh of its time or more: at the 100 us of a
# usual high rate the loop's own jitter would be as large as what is measured.
_TIMER_PERIOD_NS = 20_000
_TIMER_BATCHES = 25
_LOOP_STEPS = 20_000
_LEAST_INTERRUPT_NS = 100  # less is the loop's own jitter: no interrupt came


def interrupt_cost_ns() -> int | None:
    """Return calibrate_interrupt's answer, which is asked for once in a boot."""
    return disk_cache.for_this_boot("interrupt", calibrate_interrupt)


def calibrate_interrupt() -> int | None:
    """Return what the interrupt of one sample costs, in nanoseconds, without any program; 20 ms.

    A loop of ours is timed on its thread's CPU clock with and without an event that fires every
    20 us. None when that cannot be known: a call of ours failed, no interrupt came, or the clock
    hardly moves. Raises OSError where this process may not have what it needs.
    """
    differences = []
    try:
        for _ in range(_TIMER_BATCHES):
            plain, sampled = _loop_cpu_ns(), _sampled_loop_cpu_ns()
            if sampled > 0:
                differences.append((sampled - plain) * _TIMER_PERIOD_NS / sampled)
    except OSError as error:
        if scarcity(error):
            raise
        return None
    found = round(statistics.median(differences or [0]))
    return found if found >= _LEAST_INTERRUPT_NS else None


def _sampled_loop_cpu_ns() -> int:
    event = perf_events.open_cpu_clock(_TIMER_PERIOD_NS, tid=threading.get_native_id())
    try:
        perf_events.enable_event(event)
        return _loop_cpu_ns()
    finally:
        os.close(event)


def _loop_cpu_ns() -> int:
    start = time.thread_time_ns()
    sum(range(_LOOP_STEPS))
    return time.thread_time_ns() - start
