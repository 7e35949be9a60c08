"""Draws threads of the target, each in proportion to the CPU time that it used lately."""

from __future__ import annotations

import random
from dataclasses import dataclass

from profiler.process import read_tids
from profiler.thread_use import read_cpu_ns

_LOOK_NS = 1_000_000_000
_MOST_THREADS = 4_096


@dataclass(frozen=True, slots=True)
class Drawn:
    """A thread, and which part of a CPU it used lately."""

    tid: int
    cpu_ratio: float


class BusyThreads:
    """What each thread used between the last two looks, a second apart."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._at_ns: int | None = None
        self._cpu_ns: dict[int, int] = {}
        self._used: dict[int, float] = {}  # part of one CPU
        self._random = random.Random(pid)  # noqa: S311  # no secret

    def draw(self, now_ns: int) -> Drawn | None:
        """Return a thread; None as long as nothing is known."""
        if self._at_ns is None or now_ns - self._at_ns >= _LOOK_NS:
            self._look(now_ns)
        if not self._used:
            return None
        (tid,) = self._random.choices(list(self._used), list(self._used.values()))
        return Drawn(tid, self._used[tid])

    def _look(self, now_ns: int) -> None:
        found = {}
        for tid in read_tids(self._pid)[:_MOST_THREADS]:
            cpu_ns = read_cpu_ns(self._pid, tid)
            if cpu_ns is not None:
                found[tid] = cpu_ns
        if self._at_ns is not None:
            passed = now_ns - self._at_ns
            self._used = {
                tid: (cpu_ns - self._cpu_ns[tid]) / passed
                for tid, cpu_ns in found.items()
                if cpu_ns > self._cpu_ns.get(tid, cpu_ns)
            }
        self._cpu_ns, self._at_ns = found, now_ns
