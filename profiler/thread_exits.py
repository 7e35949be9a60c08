"""What threads that ended had used, told by the kernel when it frees them: exact however short.

bpf/exits.bpf.c says why taskstats is not enough. A record comes when nobody can see the thread any
more, some milliseconds after its end (delayed_put_task_struct() in kernel/exit.c, Linux 6.18).
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator

from profiler import syscalls
from profiler.btf import offsets
from profiler.kernel import BpfModule
from profiler.taskstats import ThreadExit, ThreadTime

_TRACEPOINT = "sched_process_free"
# Macros of exits.bpf.c, and the members of struct task_struct that they tell the places of.
_MEMBERS = {
    "TASK_TGID": "tgid",
    "TASK_TID": "pid",
    "TASK_NAME": "comm",
    "TASK_CPU": "se.sum_exec_runtime",
    "TASK_RUN_DELAY": "sched_info.run_delay",
    "TASK_STARTED": "start_time",
}
RECORD = struct.Struct("<QQQII16s")  # struct thread_exit
_ZERO = struct.pack("<I", 0)
# The kernel frees what ended when a grace period of RCU is over, and some time for its callbacks.
_GRACE_PERIODS = 3
_CALLBACKS_S = 0.02


def definitions() -> dict[str, int]:
    """Return the macros that exits.bpf.c needs; {} where this kernel does not tell all of them."""
    places = offsets("task_struct", tuple(_MEMBERS.values()))
    return dict(zip(_MEMBERS, places, strict=True)) if places else {}


class ThreadExits:
    """Hears of the ends of the target's threads. Raises OSError where the kernel refuses that."""

    def __init__(self, module: BpfModule, tgid: int) -> None:
        self._module = module
        self._tgid = tgid
        self._ring = module.ring_buffer("exits")
        self._program = module.load("thread_freed", syscalls.PROG_RAW_TRACEPOINT)
        self._link = syscalls.open_raw_tracepoint(_TRACEPOINT, self._program.descriptor)

    @property
    def overflows(self) -> int:
        """How many ends were dropped for lack of room."""
        return int.from_bytes(self._module.map("exits_lost").get(_ZERO) or b"", "little")

    def cost_ns(self) -> int:
        """Return the time that the program took; 0 while nobody has the kernel measure programs."""
        return self._program.statistics().run_time_ns

    def read_exits(self) -> Iterator[ThreadExit]:
        """Yield the threads of which the end was told since the last call."""
        for record in self._ring.drain():
            cpu_ns, run_delay_ns, started_ns, tid, _, name = RECORD.unpack(record)
            text = name.split(b"\0", 1)[0].decode(errors="replace")
            yield ThreadExit(ThreadTime(tid, text, cpu_ns, run_delay_ns), self._tgid, started_ns)

    def settle(self) -> None:
        """Wait until the ends of threads that are over were told; takes 0.1 s."""
        for _ in range(_GRACE_PERIODS):
            syscalls.wait_for_grace_period()
            time.sleep(_CALLBACKS_S)

    def close(self) -> None:
        """Hear no more."""
        link, self._link = self._link, -1
        if link >= 0:
            os.close(link)
