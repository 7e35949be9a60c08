"""What each thread of the target used of the CPU inside the window, threads that ended included."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from profiler.model.observed import ThreadAccount
from profiler.model.recording import ThreadUse
from profiler.process.procfs import PROC, read_text, read_tids
from profiler.process.target import TargetProcess
from profiler.process.taskstats import TaskTimes
from profiler.process.thread_exits import ThreadExits
from profiler.process.thread_times import ThreadExit, ThreadTime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The live threads of the target at one time."""

    threads: tuple[ThreadTime, ...]
    process_cpu_ns: int  # of all threads, ended ones included; of a process that is gone, the last


class ThreadSums:
    """What each thread used since a snapshot: those that ended in the order of time, then the live.

    A tid that is used again stands for all its threads: samples carry no more than the tid. A
    thread that vanished without an exit has used 0 that we know of.
    """

    def __init__(self, start: Iterable[ThreadTime]) -> None:
        self._base = {thread.tid: thread for thread in start}
        self._uses = {
            tid: ThreadUse(
                tid, thread.name, 0, 0 if thread.run_delay_ns is not None else None, True
            )
            for tid, thread in self._base.items()
        }

    def add(self, thread: ThreadTime, *, exited: bool) -> None:
        """Add a thread that ended, or that lives at the end."""
        tid = thread.tid
        self._uses[tid] = _add(self._uses.get(tid), thread, self._base.pop(tid, None), exited)

    def uses(self) -> tuple[ThreadUse, ...]:
        """Return the sums, by tid."""
        return tuple(self._uses[tid] for tid in sorted(self._uses))


def _add(
    use: ThreadUse | None, thread: ThreadTime, base: ThreadTime | None, exited: bool
) -> ThreadUse:
    """Return what a tid used so far, given one more of its threads and that one's use before."""
    cpu_ns = thread.cpu_ns - (base.cpu_ns if base else 0)
    delay_ns = _difference(thread.run_delay_ns, base.run_delay_ns if base else 0)
    if use is not None:
        delay_ns = None if delay_ns is None else delay_ns + (use.run_delay_ns or 0)
        cpu_ns += use.cpu_ns
    return ThreadUse(thread.tid, thread.name, max(0, cpu_ns), delay_ns, exited)


def _difference(now: int | None, before: int | None) -> int | None:
    return None if now is None or before is None else max(0, now - before)


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

    Ends of threads are read from `exits`, else from taskstats, which misses what was used last,
    else from nowhere. `warning` is None, or says why they are not reported; then what they used
    after the last observe() is unattributed.
    """

    def __init__(self, target: TargetProcess, exits: ThreadExits | None = None) -> None:
        self.warning: str | None = None
        self._pid = target.pid
        self._known = frozenset[int]()  # threads of the target, for kernels that omit the process
        self._clock = target.clock
        self._reported = exits
        self._times = None if exits is not None else self._listen()
        self._exits = exits or self._times
        self._last_seen: dict[int, ThreadTime] = {}  # only by /proc
        self._start_ns = 0

    def _listen(self) -> TaskTimes | None:
        try:
            return TaskTimes(self._pid)
        except (OSError, NotImplementedError) as error:
            self.warning = f"ends of threads are not reported: {error}"
            return None

    def overflows(self) -> int:
        """Return how often the kernel dropped exits for lack of room."""
        return 0 if self._exits is None else self._exits.overflows

    def cost_ns(self) -> int:
        """Return what programs of ours took that note ends of threads."""
        return 0 if self._reported is None else self._reported.cost_ns()

    def start(self) -> None:
        """Begin the window."""
        self._start_ns = time.monotonic_ns()
        self._start = self._snapshot()
        self._start_tids = frozenset(thread.tid for thread in self._start.threads)
        self._sums = ThreadSums(self._start.threads)
        self._known |= self._start_tids
        for ended in self._read_exits():
            # Where their beginning is not known, others are taken to have ended before the window.
            if ended.started_ns is not None or ended.time.tid in self._start_tids:
                self._sums.add(ended.time, exited=True)

    def observe(self) -> None:
        """Take note of ended threads."""
        self._note_known()
        self._clock.read_ns()  # so that something is known of a process that ends
        for ended in self._read_exits():
            self._sums.add(ended.time, exited=True)

    def _note_known(self) -> None:
        if self._reported is None:
            self._known |= frozenset(read_tids(self._pid))

    def _read_exits(self, reported: Iterator[ThreadExit] | None = None) -> Iterator[ThreadExit]:
        """Yield the threads of the target that ended since the last call, but not before it all."""
        if self._exits is None:
            yield from self._vanished()
            return
        for ended in reported or self._exits.read_exits():
            is_ours = ended.tgid == self._pid if ended.tgid else ended.time.tid in self._known
            if is_ours and not self._is_before(ended):
                yield ended

    def _is_before(self, ended: ThreadExit) -> bool:
        """Return whether a thread began before the window, and ended before it too."""
        if ended.started_ns is None or ended.started_ns >= self._start_ns:
            return False
        return ended.time.tid not in self._start_tids

    def stop(self) -> None:
        """End the window."""
        self.observe()
        self._end_ns = time.monotonic_ns()
        self._end = self._snapshot()

    def account(self) -> ThreadAccount:
        """Return who used the CPU in the window that was ended; may take 0.1 s."""
        live = {thread.tid for thread in self._end.threads}
        last = self._reported.read_last_exits() if self._reported is not None else None
        for ended in self._read_exits(last):
            # Who ended after having been read at the end is in that snapshot already.
            if ended.time.tid not in live and (ended.started_ns or 0) < self._end_ns:
                self._sums.add(ended.time, exited=True)
        for thread in self._end.threads:
            self._sums.add(thread, exited=False)
        threads = self._sums.uses()
        # The process's clock may miss what each thread used last, but never much of all.
        total = max(self._end.process_cpu_ns - self._start.process_cpu_ns, 0)
        return ThreadAccount(threads, max(total, sum(thread.cpu_ns for thread in threads)))

    def close(self) -> None:
        """Stop listening."""
        if self._times is not None:
            self._times.close()

    def _snapshot(self) -> Snapshot:
        times = (read_schedstat(self._pid, tid) for tid in read_tids(self._pid))
        threads = tuple(found for found in times if found is not None)
        return Snapshot(threads, self._clock.read_ns())

    def _vanished(self) -> Iterator[ThreadExit]:
        """Keep the last reading of each thread; what vanished since the last call has ended."""
        now = {thread.tid: thread for thread in self._snapshot().threads}
        before, self._last_seen = self._last_seen, now
        for tid, times in before.items():
            if tid not in now:
                yield ThreadExit(times, self._pid, None)
