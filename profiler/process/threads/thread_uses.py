"""What each thread of the target used of the CPU inside the window, threads that ended included."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from pathlib import Path

from profiler.model.observed import ThreadAccount
from profiler.model.recording import ThreadUse
from profiler.process.procfs import PROC, read_text, read_tids
from profiler.process.target import TargetProcess
from profiler.process.threads.thread_exits import ThreadExit, ThreadExits, ThreadTime


class ThreadSums:
    """What each thread used since a snapshot: those that ended in the order of time, then the live.

    A tid that is used again stands for all its threads: samples carry no more than the tid. A
    thread that vanished without an exit has used 0 that we know of.
    """

    def __init__(self, start: Iterable[ThreadTime]) -> None:
        self._base = {thread.tid: thread for thread in start}
        self._uses = {
            tid: ThreadUse(tid, thread.name, 0, 0, True) for tid, thread in self._base.items()
        }

    def add(self, thread: ThreadTime, *, exited: bool) -> None:
        """Add a thread that ended, or that lives at the end."""
        tid = thread.tid
        cpu_ns, delay_ns = thread.cpu_ns, thread.run_delay_ns
        if (base := self._base.pop(tid, None)) is not None:
            cpu_ns = max(0, cpu_ns - base.cpu_ns)
            delay_ns = max(0, delay_ns - base.run_delay_ns)
        if (use := self._uses.get(tid)) is not None:
            cpu_ns += use.cpu_ns
            delay_ns += use.run_delay_ns or 0
        self._uses[tid] = ThreadUse(tid, thread.name, cpu_ns, delay_ns, exited)

    def uses(self) -> tuple[ThreadUse, ...]:
        """Return the sums, by tid."""
        return tuple(self._uses[tid] for tid in sorted(self._uses))


def read_schedstat(pid: int, tid: int, proc: Path = PROC) -> ThreadTime | None:
    """Return what a thread used by /proc, None when it is gone."""
    folder = proc / str(pid) / "task" / str(tid)
    try:
        cpu_ns, run_delay_ns = map(int, read_text(folder / "schedstat").split()[:2])
        name = read_text(folder / "comm").rstrip("\n")
    except (OSError, ValueError):
        return None
    return ThreadTime(tid, name, cpu_ns, run_delay_ns)


class ThreadUses:
    """Measures one window: start(), observe() now and then, stop(), account().

    Without `exits`, what a thread used after the last observe() before its end is unattributed.
    """

    def __init__(self, target: TargetProcess, exits: ThreadExits | None) -> None:
        self._pid = target.pid
        self._clock = target.clock
        self._exits = exits
        self._end: dict[int, ThreadTime] = {}
        self._end_ns = math.inf

    def cost_ns(self) -> int:
        """Return what programs of ours took that note ends of threads."""
        return 0 if self._exits is None else self._exits.cost_ns()

    def lost_ends(self) -> int:
        """Return how many reports of ended threads found no room."""
        return 0 if self._exits is None else self._exits.lost()

    def start(self) -> None:
        """Begin the window."""
        self._start_ns = time.monotonic_ns()
        self._seen = self._read_threads()  # at the last observe()
        self._start_tids = frozenset(self._seen)
        self._sums = ThreadSums(self._seen.values())
        self._start_cpu_ns = self._clock.read_ns()

    def observe(self) -> None:
        """Take note of ended threads."""
        self._clock.read_ns()  # so that something is known of a process that ends
        if self._exits is None:
            self._add_vanished()
        else:
            self._add_exits(self._exits.read_exits())

    def _add_exits(self, exits: Iterable[ThreadExit]) -> None:
        """Add what ended in the window; what is in the snapshot at its end ended behind it."""
        for ended in exits:
            tid = ended.time.tid
            is_behind = ended.started_ns >= self._end_ns or tid in self._end
            if not is_behind and (ended.started_ns >= self._start_ns or tid in self._start_tids):
                self._sums.add(ended.time, exited=True)

    def _add_vanished(self) -> None:
        """Add the last reading of each thread that is gone since the last call."""
        before, self._seen = self._seen, self._read_threads()
        for tid in before.keys() - self._seen.keys():
            self._sums.add(before[tid], exited=True)

    def stop(self) -> None:
        """End the window."""
        self.observe()
        self._end_ns = time.monotonic_ns()
        # Who ends between two readings is only known of by an exit.
        self._end = self._seen if self._exits is None else self._read_threads()
        self._end_cpu_ns = self._clock.read_ns()

    def account(self) -> ThreadAccount:
        """Return who used the CPU in the window that was ended; may take 0.1 s."""
        if self._exits is not None:
            self._add_exits(self._exits.read_last_exits())
        for thread in self._end.values():
            self._sums.add(thread, exited=False)
        threads = self._sums.uses()
        # The process's clock may miss what each thread used last, but never much of all.
        total = max(self._end_cpu_ns - self._start_cpu_ns, 0)
        return ThreadAccount(threads, max(total, sum(thread.cpu_ns for thread in threads)))

    def _read_threads(self) -> dict[int, ThreadTime]:
        times = (read_schedstat(self._pid, tid) for tid in read_tids(self._pid))
        return {found.tid: found for found in times if found is not None}
