"""Finds the threads that do not run for long, for certain: it looks at all once a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from profiler.model.observed_offcpu import SeenLongWait, SeenStack
from profiler.model.waits import LockKind
from profiler.offcpu.locks import SeenLocks
from profiler.process.namespaces import outer_tids
from profiler.process.target import TargetProcess
from profiler.process.threads.present_threads import RDI, RDX, RSI, PresentThread
from profiler.process.threads.stack_memory import read_stacks
from profiler.unwind.walk import Rules, walk
from profiler.waits.system_calls import FUTEX, MUTEX_VALUE

LONG_NS = 500_000_000
MAX_LONG_WAITS = 2_000
_STACKS_AT_ONCE = 100  # that are read in one look: each takes us about a millisecond

ReadThreads = Callable[[], tuple[PresentThread, ...]]


def is_mutex_wait(thread: PresentThread) -> bool:
    """Return whether a thread seems to wait for a mutex."""
    value = thread.registers[RDX]
    return thread.syscall == FUTEX and value is not None and value & 0xFFFFFFFF == MUTEX_VALUE


@dataclass(frozen=True, slots=True)
class _Identity:
    """The same as long as a thread does not run."""

    tid: int
    switches: int


class LongWaits:
    """The long waits of one run."""

    def __init__(
        self, read_threads: ReadThreads, target: TargetProcess, rules: Rules, locks: SeenLocks
    ) -> None:
        self._read_threads = read_threads
        self._target = target
        self._rules = rules
        self._locks = locks
        self._found: dict[_Identity, SeenLongWait] = {}
        self._open: set[_Identity] = set()

    def look(self, now_ns: int) -> None:
        """Take note of who waits now."""
        threads = {thread.tid: thread for thread in self._read_threads()}
        waiting = {
            _Identity(thread.tid, thread.switches): thread
            for thread in threads.values()
            if _waits_long(thread, now_ns)
        }
        for identity in self._open - waiting.keys():
            self._found[identity] = replace(self._found[identity], has_ended=True)
        for identity in self._open & waiting.keys():
            self._found[identity] = replace(self._found[identity], until_ns=now_ns)
        new = sorted(
            waiting.keys() - self._found.keys(), key=lambda one: not is_mutex_wait(waiting[one])
        )
        room = min(_STACKS_AT_ONCE, max(MAX_LONG_WAITS - len(self._found), 0))
        chosen = {waiting[identity].tid: identity for identity in new[:room]}
        self._open = (self._open & waiting.keys()) | set(chosen.values())
        self._read(chosen, threads, now_ns)

    def _read(
        self, chosen: Mapping[int, _Identity], threads: Mapping[int, PresentThread], now_ns: int
    ) -> None:
        mutexes = {
            tid: threads[tid].registers[RDI] or 0 for tid in chosen if is_mutex_wait(threads[tid])
        }
        self._locks.note(LockKind.MUTEX, mutexes.values())
        holders = self._holders(mutexes, threads)
        wanted = {*chosen, *holders.values()}
        stacks = self._stacks(threads[tid] for tid in wanted if not threads[tid].is_on_cpu)
        for tid, identity in chosen.items():
            thread, holder = threads[tid], holders.get(tid)
            self._found[identity] = SeenLongWait(
                tid=tid,
                syscall=thread.syscall,
                arguments=_arguments(thread),
                since_ns=thread.stopped_ns or now_ns,
                until_ns=now_ns,
                has_ended=False,
                stack=stacks.get(tid),
                holder_tid=holder,
                holder_stack=None if holder is None else stacks.get(holder),
            )

    def _holders(
        self, mutexes: Mapping[int, int], threads: Mapping[int, PresentThread]
    ) -> dict[int, int]:
        """Return who has the mutex that each thread waits for, as far as they are known."""
        owners = {tid: self._locks.owner(mutex) for tid, mutex in mutexes.items()}
        if not any(owners.values()):
            return {}
        outer = outer_tids(self._target.pid, threads)
        found = {tid: outer.get(owner) for tid, owner in owners.items() if owner is not None}
        return {tid: holder for tid, holder in found.items() if holder in threads and holder}

    def _stacks(self, threads: Iterable[PresentThread]) -> dict[int, SeenStack]:
        return {
            thread.tid: SeenStack(found.frames, found.cause)
            for thread, memory in read_stacks(self._target.memory, tuple(threads))
            if (found := walk(self._rules, memory.word, thread.ip, thread.registers)).frames
        }

    def all(self) -> tuple[SeenLongWait, ...]:
        """Return all that were found, in the order of their beginnings."""
        return tuple(sorted(self._found.values(), key=lambda wait: (wait.since_ns, wait.tid)))


def _waits_long(thread: PresentThread, now_ns: int) -> bool:
    is_waiting = not thread.is_on_cpu and thread.state != 0 and thread.stopped_ns is not None
    return is_waiting and now_ns - (thread.stopped_ns or now_ns) >= LONG_NS


def _arguments(thread: PresentThread) -> tuple[int, int, int]:
    first, second, third = (thread.registers[number] or 0 for number in (RDI, RSI, RDX))
    return first, second, third
