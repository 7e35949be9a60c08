"""Takes a picture of a moment: all threads of the target, and the locks that they wait for."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from profiler.model.recording import Target
from profiler.model.waits import HeldLock, Lock, Snapshot, WaitFrame, WaitingThread, WaitKind
from profiler.names.session import NamingSession
from profiler.process.namespaces import outer_tids
from profiler.process.procfs import read_tids
from profiler.process.target import TargetProcess
from profiler.unwind.kernel_tables import TableLibrary
from profiler.unwind.walk import Rules
from profiler.waits.frames import Frames, is_musl
from profiler.waits.held import taking_frame
from profiler.waits.locks import FoundLock, LockNames
from profiler.waits.settled import ReadThread, ReadThreads, read_settled
from profiler.waits.threads import Descriptors, Wait, Waits, state_letter

OTHER_LIBRARY = (
    "the C library is musl: nothing is known of its locks. Who waits for one is shown in a futex, "
    "and no deadlock is seen"
)


class WaitReader:
    """Reads one target, as often as it is asked. `read_threads` says which threads there are."""

    def __init__(
        self,
        target: TargetProcess,
        session: NamingSession,
        recorded: Target,
        read_threads: ReadThreads,
        warnings: Iterable[str] = (),
    ) -> None:
        self._target = target
        self._session = session
        self._recorded = recorded
        self._read_threads = read_threads
        self._warnings = tuple(warnings)
        self._library = TableLibrary()
        target.code.refresh()
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Look at what is mapped now, and once at all threads: only later that is quick."""
        self._session.pin()
        self._rules = Rules(self._target.code, self._library)
        self._frames = Frames(self._session)
        self._read = read_settled(self._read_threads, self._target, self._rules)

    def read(self) -> Snapshot:
        """Return the threads of this moment."""
        if self._target.code.refresh():
            self._begin_anew()
        start_ns = time.monotonic_ns()
        read = read_settled(self._read_threads, self._target, self._rules, self._read)
        self._read = read
        end_ns = time.monotonic_ns()
        self._frames.name(address for one in read for address in one.stack.frames)
        pid = self._target.pid
        outer = outer_tids(pid, {*read_tids(pid), *(one.thread.tid for one in read)})
        waits = Waits(self._target.memory, self._frames, Descriptors(self._target.pid), outer)
        waiting = waits.of_all(read)
        locks = self._locks(read, waiting, outer)
        numbers = {lock.address: number for number, lock in enumerate(locks)}
        holds = self._holds(read, locks)
        threads = tuple(
            self._thread(one, waiting[one.thread.tid], numbers, holds, end_ns) for one in read
        )
        is_foreign = any(is_musl(file.path) for file in self._session.files())
        warnings = (*self._warnings, *((OTHER_LIBRARY,) if is_foreign else ()))
        return Snapshot(self._recorded, start_ns, end_ns, threads, locks, warnings)

    def _thread(
        self,
        one: ReadThread,
        wait: Wait,
        numbers: Mapping[int, int],
        holds: Mapping[int, Sequence[HeldLock]],
        now_ns: int,
    ) -> WaitingThread:
        thread, stack = one.thread, one.stack
        is_waiting = wait.kind is not WaitKind.RUNNING and thread.stopped_ns is not None
        frames = self._frames.stack(stack.frames)
        if wait.lock is not None:
            frames = self._with_source(frames, stack.frames)
        return WaitingThread(
            tid=thread.tid,
            name=thread.name,
            kind=wait.kind,
            waiting_ns=max(0, now_ns - (thread.stopped_ns or 0)) if is_waiting else None,
            frames=frames,
            cause=stack.cause,
            moved=one.moved,
            switches=thread.switches,
            role=self._frames.role(stack.frames) if stack.cause is None else None,
            state=state_letter(thread),
            lock=None if wait.lock is None else numbers[wait.lock.address],
            holds=tuple(holds.get(thread.tid, ())),
            waits_for=wait.waits_for,
            has_timeout=wait.has_timeout,
            detail=wait.detail,
            address=None if one.futex is None else one.futex.address,
            syscall=thread.syscall,
        )

    def _with_source(
        self, frames: tuple[WaitFrame, ...], addresses: Sequence[int]
    ) -> tuple[WaitFrame, ...]:
        """Return frames of which that says where it is in the source that wants a lock."""
        at, source, _ = self._frames.wanted(addresses) or (0, None, None)
        if source is None:
            return frames
        return (*frames[:at], replace(frames[at], source=source), *frames[at + 1 :])

    def _locks(
        self, read: Sequence[ReadThread], waiting: Mapping[int, Wait], outer: Mapping[int, int]
    ) -> tuple[Lock, ...]:
        found: dict[int, FoundLock] = {}
        waiters: dict[int, list[ReadThread]] = defaultdict(list)
        for one in sorted(read, key=lambda one: not one.moved):
            lock = waiting[one.thread.tid].lock
            if lock is not None:
                found[lock.address] = lock
                waiters[lock.address].append(one)
        names = LockNames(self._target, self._function_name, self._session.variable)
        return tuple(
            self._with_waiters(names.described(found[address], outer), waiters[address])
            for address in sorted(found)
        )

    def _with_waiters(self, lock: Lock, waiters: Iterable[ReadThread]) -> Lock:
        """Return a lock with what the source calls it where threads wait for it."""
        files, variables = set(), set()
        for one in waiters:
            wanted = self._frames.wanted(one.stack.frames)
            if wanted is not None:
                _, source, variable = wanted
                files.add(source and source.partition(":")[0])
                variables.add(variable)
        return replace(
            lock,
            variables=tuple(sorted(filter(None, variables))),
            files=tuple(sorted(filter(None, files))),
        )

    def _function_name(self, address: int) -> str:
        self._frames.name((address,))
        return self._frames.stack((address,))[0].name

    def _holds(
        self, read: Iterable[ReadThread], locks: Sequence[Lock]
    ) -> dict[int, list[HeldLock]]:
        threads = {one.thread.tid: one for one in read}
        holds: dict[int, list[HeldLock]] = defaultdict(list)
        for number, lock in enumerate(locks):
            one = threads.get(lock.owner or 0)
            if one is not None and not lock.owner_is_gone:
                frame = taking_frame(self._target.memory, self._session, one.stack, lock)
                holds[one.thread.tid].append(HeldLock(number, frame))
        return holds
