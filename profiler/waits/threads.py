"""What each thread waits for, of what was read of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from profiler.model.waits import WaitKind
from profiler.process.memory import TargetMemory
from profiler.process.procfs import PROC
from profiler.process.threads.present_threads import R8, R9, R10, RDI, RDX, RSI, PresentThread
from profiler.waits.frames import Frames
from profiler.waits.futexes import kind_of, restarted_kind
from profiler.waits.glibc_locks import (
    DESCRIPTOR_SELF,
    DESCRIPTOR_TID,
    MUTEX_BYTES,
    decode_mutex,
)
from profiler.waits.locks import FoundLock, find_lock
from profiler.waits.settled import Futex, ReadThread
from profiler.waits.system_calls import (
    FUTEX_WAIT,
    MUTEX_VALUE,
    RESTART,
    detail,
    has_timeout,
    system_call,
)

# include/linux/sched.h: TASK_INTERRUPTIBLE, _UNINTERRUPTIBLE, __TASK_STOPPED, __TASK_TRACED
_STATES = {1: "S", 2: "D", 4: "T", 8: "t"}
_ARGUMENTS = (RDI, RSI, RDX, R10, R8, R9)


@dataclass(frozen=True, slots=True)
class Wait:
    """What a thread waits for, as far as it alone tells."""

    kind: WaitKind
    lock: FoundLock | None = None
    detail: str | None = None
    has_timeout: bool = False
    waits_for: int | None = None  # the thread or child whose end it waits for


class Descriptors:
    """Says what file descriptors of the target are."""

    def __init__(self, pid: int) -> None:
        self._folder = PROC / str(pid) / "fd"
        self._known: dict[int, str | None] = {}

    def name(self, number: int) -> str | None:
        """Return "socket", "pipe" or a path as the target sees it; None: not known."""
        if number not in self._known:
            try:
                text = str((self._folder / str(number)).readlink())
            except OSError:
                self._known[number] = None
            else:
                self._known[number] = text if text.startswith("/") else text.partition(":")[0]
        return self._known[number]


class Waits:
    """Says what threads of one target wait for; `outer` has our tid for each of its own."""

    def __init__(
        self,
        memory: TargetMemory,
        frames: Frames,
        descriptors: Descriptors,
        outer: Mapping[int, int],
    ) -> None:
        self._memory = memory
        self._frames = frames
        self._descriptors = descriptors
        self._outer = outer

    def of_all(self, read: Sequence[ReadThread]) -> dict[int, Wait]:
        """Return what threads wait for, by tid.

        A thread that ran meanwhile may have no stack that says so, but wait where others want a
        mutex.
        """
        futexes = {one.thread.tid: one.futex for one in read if one.futex is not None}
        waits = {one.thread.tid: self.of(one) for one in read}
        mutexes = {
            wait.lock.address: wait.lock
            for wait in waits.values()
            if wait.kind is WaitKind.MUTEX and wait.lock is not None
        }
        for tid, futex in futexes.items():
            if waits[tid].kind is WaitKind.FUTEX and futex.address in mutexes:
                lock = mutexes[futex.address]
                waits[tid] = replace(waits[tid], kind=WaitKind.MUTEX, lock=lock)
        return waits

    def of(self, one: ReadThread) -> Wait:
        """Return what a thread waits for."""
        thread = one.thread
        if thread.is_on_cpu or not thread.state:
            return Wait(WaitKind.RUNNING)
        if thread.syscall is None:
            return Wait(WaitKind.OTHER, detail="in the kernel without a system call: a page fault")
        names = self._frames.leading_names(one.stack.frames)
        kind = restarted_kind(names) if thread.syscall == RESTART else None
        if kind is not None:
            return Wait(kind, has_timeout=True)
        if one.futex is not None:
            kind = kind_of(names, one.futex.operation)
            if kind is WaitKind.FUTEX and names:
                kind = kind_of((self._frames.called(one.stack.frames) or "",), None)
            return self._futex(thread, one.futex, kind)
        return self._system_call(thread, thread.syscall)

    def _system_call(self, thread: PresentThread, number: int) -> Wait:
        arguments = [thread.registers[register] for register in _ARGUMENTS]
        call = system_call(number, arguments)
        process = None if call.process is None else _signed(arguments[call.process])
        return Wait(
            kind=call.kind,
            detail=detail(call, arguments, self._descriptors.name),
            has_timeout=has_timeout(call, arguments),
            waits_for=process if process is not None and process > 0 else None,
        )

    def _futex(self, thread: PresentThread, futex: Futex, kind: WaitKind) -> Wait:
        if kind in (WaitKind.CONDITION, WaitKind.FUTEX) and self._is_wanted_mutex(futex):
            kind = WaitKind.MUTEX  # as a wait for a condition does when it ends
        lock = find_lock(kind, futex, thread)
        if kind.is_lock and lock is None:
            kind = WaitKind.FUTEX
        joined = self._joined(futex) if kind in (WaitKind.JOIN, WaitKind.FUTEX) else None
        timeout = thread.registers[R8 if thread.syscall == FUTEX_WAIT else R10]
        return Wait(
            kind=kind if joined is None else WaitKind.JOIN,
            lock=lock,
            detail=f"futex at {futex.address:#x}",
            has_timeout=bool(timeout),
            waits_for=joined,
        )

    def _is_wanted_mutex(self, futex: Futex) -> bool:
        """Return whether a futex is a mutex that another thread of the target has."""
        data = futex.at(futex.address, MUTEX_BYTES)
        mutex = decode_mutex(data) if data is not None and futex.value == MUTEX_VALUE else None
        return mutex is not None and mutex.is_contended and mutex.owner in self._outer

    def _joined(self, futex: Futex) -> int | None:
        """Return the thread whose descriptor a futex is in, None where it is in none."""
        tid = self._outer.get(futex.value or 0)
        descriptor = futex.address - DESCRIPTOR_TID
        data = None if tid is None else self._memory.read(descriptor + DESCRIPTOR_SELF, 8)
        return tid if data is not None and int.from_bytes(data, "little") == descriptor else None


def _signed(value: int | None) -> int | None:
    """Return a number of 32 bits as C's int."""
    low = None if value is None else value & 0xFFFFFFFF
    return low - (1 << 32) if low is not None and low >> 31 else low


def state_letter(thread: PresentThread) -> str:
    """Return a thread's state as the kernel shows it: R, S, D, T, t, Z."""
    if not thread.state:
        return "R"
    return next((letter for bit, letter in _STATES.items() if thread.state & bit), "Z")
