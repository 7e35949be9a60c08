"""What a thread used of the CPU, and what is known of one that ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ThreadTime:
    """What a thread used since it started."""

    tid: int
    name: str
    cpu_ns: int
    run_delay_ns: int | None  # runnable, but waiting for a CPU


@dataclass(frozen=True, slots=True)
class ThreadExit:
    """A thread's last words."""

    time: ThreadTime
    tgid: int | None  # None: the kernel does not say
    started_ns: int | None  # CLOCK_MONOTONIC; None: the kernel does not say
