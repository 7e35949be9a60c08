"""Measures when threads of one target do not run: windows on switches, and a look once a second."""

from __future__ import annotations

from itertools import islice

from profiler.linux.module import BpfModule
from profiler.model.observed_offcpu import ObservedOffCpu
from profiler.model.waits import LockKind
from profiler.offcpu.locks import SeenLocks
from profiler.offcpu.long_waits import LongWaits
from profiler.offcpu.switches import Switches
from profiler.offcpu.waits import is_futex
from profiler.offcpu.windows import OffCpuWindows
from profiler.process.target import TargetProcess
from profiler.process.threads.present_threads import PresentThreads
from profiler.unwind.kernel_tables import TableLibrary
from profiler.unwind.walk import Rules
from profiler.waits.system_calls import SYSTEM_CALLS
from profiler.waits.threads import Descriptors
from profiler.windows.budget import Governor

# System calls whose first argument is a descriptor that says what they wait for.
DESCRIPTOR_CALLS = frozenset(n for n, call in SYSTEM_CALLS.items() if call.descriptor == 0)
_MOST_NAMED = 5_000


class OffCpuMeasurement:
    """The waits of one run. Raises OSError where the kernel refuses the programs."""

    def __init__(
        self,
        module: BpfModule,
        present: PresentThreads,
        target: TargetProcess,
        library: TableLibrary,
        governor: Governor,
    ) -> None:
        self._switches = Switches(module)
        self._windows = OffCpuWindows(self._switches, governor)
        self._target = target
        self._locks = SeenLocks(target)
        self._descriptors: dict[int, str | None] = {}
        rules = Rules(target.code, library)
        self._long = LongWaits(present.read, target, rules, self._locks)

    def step(self, now_ns: int) -> int:
        """Open or close a window if it is time; return when to call again, CLOCK_MONOTONIC."""
        return self._windows.step(now_ns)

    def drain(self) -> None:
        """Take in the waits that have ended, and read locks that are new."""
        self._windows.drain()
        self._locks.note(LockKind.MUTEX, self._windows.waits.new_mutexes())

    def look(self, now_ns: int) -> None:
        """Look at all threads for those that wait for long."""
        self._long.look(now_ns)

    def finish(self, now_ns: int) -> ObservedOffCpu:
        """Close the window, look at all threads once more, and return all that was seen."""
        self._windows.close()
        self.drain()
        self._long.look(now_ns)
        keys = self._windows.waits.different()
        futexes = {key.address for key in keys if is_futex(key.syscall) and not key.is_mutex}
        self._locks.note(LockKind.RWLOCK, futexes)
        names = Descriptors(self._target.pid)
        for key in islice((key for key in keys if key.syscall in DESCRIPTOR_CALLS), _MOST_NAMED):
            self._descriptors[key.address] = names.name(key.address)
        return self._observed()

    def abort(self) -> None:
        """See no more switches."""
        self._windows.abort()

    def _observed(self) -> ObservedOffCpu:
        counts = self._switches.counts()
        return ObservedOffCpu(
            waits=tuple(self._windows.waits.all()),
            long_waits=self._long.all(),
            locks=self._locks.all(),
            descriptors=self._descriptors,
            windows=tuple(self._windows.windows),
            covered_ns=self._windows.covered_ns,
            seen=counts["seen"] + counts["found"],
            left_out=counts["left_out"],
            lost=counts["full"] + counts["lost"],
            cost_ns=self._windows.cost_ns,
            problem=self._windows.problem,
        )
