"""What each thread of the target used of the CPU inside the window, threads that ended included."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from profiler.process import PROC, parse_stat, parse_status, read_text, read_tids
from profiler.recording import ThreadUse
from profiler.taskstats import TaskTimes, ThreadTime

_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The live threads of the target at one time."""

    threads: tuple[ThreadTime, ...]
    process_cpu_ns: int | None  # of all threads, ended ones included; None: the process is gone


@dataclass(frozen=True, slots=True)
class ThreadAccount:
    """Who used the CPU inside the window."""

    threads: tuple[ThreadUse, ...]  # by tid
    process_cpu_ns: int | None  # of the whole process in the window

    @property
    def unattributed_ns(self) -> int | None:
        """CPU time of threads that ended without the kernel telling us."""
        if self.process_cpu_ns is None:
            return None
        return max(0, self.process_cpu_ns - sum(thread.cpu_ns for thread in self.threads))


def thread_uses(
    start: Iterable[ThreadTime], end: Iterable[ThreadTime], exits: Iterable[ThreadTime]
) -> tuple[ThreadUse, ...]:
    """Return what each thread used between two snapshots, given those that ended in between.

    `exits` in the order of time. A tid that is used again stands for all its threads: samples
    carry no more than the tid. A thread that vanished without an exit has used 0 that we know of.
    """
    base = {thread.tid: thread for thread in start}
    uses = {
        tid: ThreadUse(tid, thread.name, 0, 0 if thread.run_delay_ns is not None else None, True)
        for tid, thread in base.items()
    }
    for times, exited in ((exits, True), (end, False)):
        for thread in times:
            uses[thread.tid] = _add(
                uses.get(thread.tid), thread, base.pop(thread.tid, None), exited
            )
    return tuple(uses[tid] for tid in sorted(uses))


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


def read_cpu_ns(pid: int, tid: int, proc: Path = PROC) -> int | None:
    """Return the CPU time of a thread by /proc, None when it is gone."""
    try:
        return int(read_text(proc / str(pid) / "task" / str(tid) / "schedstat").split()[0])
    except (OSError, ValueError, IndexError):
        return None


def read_switches(pid: int, tid: int, proc: Path = PROC) -> int:
    """Return how often a thread has left a CPU, 0 when it is gone."""
    try:
        status = parse_status(read_text(proc / str(pid) / "task" / str(tid) / "status"))
        return sum(int(status[f"{kind}voluntary_ctxt_switches"][0]) for kind in ("", "non"))
    except (OSError, KeyError, ValueError):
        return 0


def read_process_cpu_ns(pid: int, proc: Path = PROC) -> int | None:
    """Return the CPU time of a process by /proc, to a clock tick; None when it is gone."""
    try:
        stat = parse_stat(read_text(proc / str(pid) / "stat"))
    except OSError:
        return None
    return (stat.user_ticks + stat.system_ticks) * _TICK_NS


@dataclass(slots=True)
class _Heard:
    """What was heard of ended threads."""

    exits: list[ThreadTime] = field(default_factory=list)
    last_seen: dict[int, ThreadTime] = field(default_factory=dict)  # only without taskstats
    process_cpu_ns: int | None = None  # when it ended


class ThreadUses:
    """Measures one window: start(), observe() once a second or when filenos() poll, finish().

    `warning` is None, or says why threads that end are not heard of; then what they used after
    the last observe() is unattributed.
    """

    def __init__(self, pid: int) -> None:
        self.warning: str | None = None
        self._pid = pid
        self._known = frozenset[int]()  # threads of the target, for kernels that omit the process
        self._times: TaskTimes | None = None
        self._descriptor: int | None = None
        self._heard = _Heard()
        try:
            self._times = TaskTimes()
            self._descriptor = self._times.listen(pid)
        except (OSError, NotImplementedError) as error:
            self.warning = f"ending threads are not heard of: {error}"

    def filenos(self) -> tuple[int, ...]:
        """Return the descriptors that become readable when a thread ended."""
        return () if self._descriptor is None else (self._descriptor,)

    def overflows(self) -> int:
        """Return how often the kernel dropped exits for lack of room."""
        return 0 if self._times is None else self._times.overflows

    def start(self) -> None:
        """Begin the window."""
        self._start = self._snapshot()
        tids = {thread.tid for thread in self._start.threads}
        self.observe(frozenset(tids))
        # Others ended before their use could be read: before the window.
        self._heard.exits = [time for time in self._heard.exits if time.tid in tids]

    def observe(self, tids: Iterable[int] = ()) -> None:
        """Take note of ended threads. `tids`: threads of the target that the caller knows of."""
        self._known |= frozenset(tids)
        if self._descriptor is None or self._times is None:
            self._observe_by_proc()
            return
        for ended in self._times.read_exits():
            if ended.tgid == self._pid or (ended.tgid is None and ended.time.tid in self._known):
                self._heard.exits.append(ended.time)
                self._heard.process_cpu_ns = ended.process_cpu_ns or self._heard.process_cpu_ns

    def finish(self) -> ThreadAccount:
        """End the window and return who used the CPU in it."""
        self.observe()
        end = self._snapshot()
        live = {thread.tid for thread in end.threads}
        count = len(self._heard.exits)
        self.observe()
        # Who ended after having been read now is in the snapshot already.
        late = [time for time in self._heard.exits[count:] if time.tid not in live]
        threads = thread_uses(self._start.threads, end.threads, (*self._heard.exits[:count], *late))
        total = self._heard.process_cpu_ns if end.process_cpu_ns is None else end.process_cpu_ns
        return ThreadAccount(threads, _difference(total, self._start.process_cpu_ns))

    def switches(self) -> int:
        """Return how often the live threads have left a CPU; 0 when they are gone."""
        if self._times is None:
            return sum(read_switches(self._pid, tid) for tid in read_tids(self._pid))
        try:
            return self._times.switches(self._pid)
        except OSError:
            return 0

    def close(self) -> None:
        """Stop listening."""
        if self._times is not None:
            self._times.close()

    def _snapshot(self) -> Snapshot:
        times = (self._thread(tid) for tid in read_tids(self._pid))
        threads = tuple(time for time in times if time is not None)
        return Snapshot(threads, self._process_cpu_ns())

    def _thread(self, tid: int) -> ThreadTime | None:
        if self._times is None:
            return read_schedstat(self._pid, tid)
        try:
            return self._times.thread(tid)
        except ProcessLookupError:
            return None

    def _process_cpu_ns(self) -> int | None:
        if self._times is None:
            return read_process_cpu_ns(self._pid)
        try:
            return self._times.process_cpu_ns(self._pid)
        except ProcessLookupError:
            return None

    def _observe_by_proc(self) -> None:
        """Keep the last reading of each thread; what vanished since the last call has ended."""
        now = {thread.tid: thread for thread in self._snapshot().threads}
        ended = (time for tid, time in self._heard.last_seen.items() if tid not in now)
        self._heard.exits.extend(ended)
        self._heard.last_seen = now
