"""Reads registers, stack and futex of each thread while it does not run; else it is read again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from profiler.process.target import TargetProcess
from profiler.process.threads.present_threads import RDI, RDX, RSI, PresentThread
from profiler.process.threads.stack_memory import read_stacks
from profiler.unwind.walk import Rules, WalkedStack, walk
from profiler.waits.system_calls import FUTEX, FUTEX_WAIT, RESTART

_TRIES = 3
_MOST_NS = 1_000_000_000  # after which nothing is read again
# What is read around a futex: all of the mutex or rwlock that it is in.
WINDOW_BEFORE, WINDOW_BYTES = 16, 72
_NOTHING = WalkedStack((), (), "it runs")

ReadThreads = Callable[[], tuple[PresentThread, ...]]


@dataclass(frozen=True, slots=True)
class Futex:
    """What a thread waits on: where, the value that it saw, and the memory around."""

    address: int
    value: int | None
    operation: int | None
    window: bytes | None = None  # from WINDOW_BEFORE bytes before the address
    later: bytes | None = None  # the same, when all threads had been read

    def at(self, address: int, size: int) -> bytes | None:
        """Return bytes of the window."""
        return self._part(self.window, address, size)

    def later_at(self, address: int, size: int) -> bytes | None:
        """Return the same bytes as they were when all threads had been read."""
        return self._part(self.later, address, size)

    def _part(self, window: bytes | None, address: int, size: int) -> bytes | None:
        first = address - self.address + WINDOW_BEFORE
        is_inside = window is not None and 0 <= first <= WINDOW_BYTES - size
        return window[first : first + size] if window and is_inside else None


@dataclass(frozen=True, slots=True)
class ReadThread:
    """A thread with its stack. `moved`: it ran between what is known of it.

    Since when it has not run is of the last time that it was looked at.
    """

    thread: PresentThread
    stack: WalkedStack
    futex: Futex | None
    moved: bool


def read_settled(
    read: ReadThreads,
    target: TargetProcess,
    rules: Rules,
    before: Iterable[ReadThread] = (),
) -> list[ReadThread]:
    """Return the target's threads of this moment, by tid.

    Who has rested since it was read `before` has the same stack, which is not read again.
    """
    known = {one.thread.tid: one for one in before if not one.moved}
    until_ns = time.monotonic_ns() + _MOST_NS
    found: dict[int, ReadThread] = {}
    threads = {thread.tid: thread for thread in read()}
    for _ in range(_TRIES):
        open_ones = [t for tid, t in threads.items() if tid not in found or found[tid].moved]
        if not open_ones or time.monotonic_ns() > until_ns:
            break
        once = _read_once(open_ones, target, rules, known)
        threads = {thread.tid: thread for thread in read()}
        for one in once:
            later = threads.get(one.thread.tid)
            if later is not None:
                moved = not _has_rested(one.thread, later)
                thread = replace(one.thread, stopped_ns=later.stopped_ns)
                found[later.tid] = replace(one, thread=thread, moved=moved)
    return _with_later([found[tid] for tid in sorted(found.keys() & threads.keys())], target)


def _with_later(found: list[ReadThread], target: TargetProcess) -> list[ReadThread]:
    """Return threads with what they wait on as it is by now."""
    windows = _read_windows((one.futex for one in found if one.futex is not None), target)
    return [
        one
        if one.futex is None
        else replace(one, futex=replace(one.futex, later=windows[one.futex.address]))
        for one in found
    ]


def _has_rested(before: PresentThread, after: PresentThread) -> bool:
    """Return whether a thread did not run from one reading to the other."""
    is_off = not before.is_on_cpu and not after.is_on_cpu
    return is_off and before.switches == after.switches and before.state == after.state


def _read_once(
    threads: Iterable[PresentThread],
    target: TargetProcess,
    rules: Rules,
    known: Mapping[int, ReadThread],
) -> list[ReadThread]:
    off_cpu = [thread for thread in threads if not thread.is_on_cpu]
    futexes = _read_futexes(off_cpu, target)
    stacks = {
        thread.tid: known[thread.tid].stack
        for thread in off_cpu
        if thread.tid in known and _has_rested(known[thread.tid].thread, thread)
    }
    new = [thread for thread in off_cpu if thread.tid not in stacks]
    for thread, memory in read_stacks(target.memory, new):
        stacks[thread.tid] = walk(rules, memory.word, thread.ip, thread.registers)
    return [
        ReadThread(thread, stacks[thread.tid], futexes.get(thread.tid), False) for thread in off_cpu
    ] + [ReadThread(thread, _NOTHING, None, False) for thread in threads if thread.is_on_cpu]


def _read_futexes(threads: Iterable[PresentThread], target: TargetProcess) -> dict[int, Futex]:
    """Return what threads wait on that are in such a system call, by tid."""
    futexes = {thread.tid: found for thread in threads if (found := _futex(thread)) is not None}
    windows = _read_windows(futexes.values(), target)
    return {tid: replace(futex, window=windows[futex.address]) for tid, futex in futexes.items()}


def _read_windows(futexes: Iterable[Futex], target: TargetProcess) -> dict[int, bytes | None]:
    """Return the memory around each futex, by its address."""
    addresses = sorted({futex.address for futex in futexes})
    places = [address - WINDOW_BEFORE for address in addresses]
    return dict(zip(addresses, target.memory.read_many(places, WINDOW_BYTES), strict=True))


def _futex(thread: PresentThread) -> Futex | None:
    address = thread.registers[RDI]
    if thread.syscall not in (FUTEX, RESTART, FUTEX_WAIT) or address is None:
        return None
    if thread.syscall == FUTEX_WAIT:
        return Futex(address, thread.registers[RSI], None)
    return Futex(address, thread.registers[RDX], thread.registers[RSI])
