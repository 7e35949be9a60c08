"""What threads that ended had used, reported by the kernel when it frees them: exact however short.

bpf/exits.bpf.c says what is missing at the end. A thread is freed some milliseconds after its end
(delayed_put_task_struct() in kernel/exit.c, Linux 6.18), seldom without a report to us.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass

from profiler.linux import bpf
from profiler.linux.btf import offsets
from profiler.linux.module import BpfModule

# Functions of exits.bpf.c, and the tracepoints that they run at.
_TRACEPOINTS = {"thread_freed": "sched_process_free", "thread_ended": "sched_process_exit"}
# Macros of exits.bpf.c, and the members of struct task_struct whose offsets they are.
_MEMBERS = {
    "TASK_TGID": "tgid",
    "TASK_TID": "pid",
    "TASK_NAME": "comm",
    "TASK_CPU": "se.sum_exec_runtime",
    "TASK_RUN_DELAY": "sched_info.run_delay",
    "TASK_STARTED": "start_time",
}
RECORD = struct.Struct("<QQQII16s")  # struct thread_exit
# The kernel frees what ended when a grace period of RCU is over, and some time for its callbacks.
_GRACE_PERIODS = 3
_CALLBACKS_S = 0.02
# Threads that ended and are not freed yet. More: the eldest are reported as they were at their end.
_MOST_WAITING = 20_000


@dataclass(frozen=True, slots=True)
class ThreadTime:
    """What a thread used since it started."""

    tid: int
    name: str
    cpu_ns: int
    run_delay_ns: int  # runnable, but waiting for a CPU


@dataclass(frozen=True, slots=True)
class ThreadExit:
    """A thread's last words."""

    time: ThreadTime
    started_ns: int  # CLOCK_MONOTONIC


def definitions() -> dict[str, int]:
    """Return the macros that exits.bpf.c needs; {} where this kernel does not have all of them."""
    places = offsets("task_struct", tuple(_MEMBERS.values()))
    return dict(zip(_MEMBERS, places, strict=True)) if places else {}


class ThreadExits:
    """Reads the ends of the target's threads. Raises OSError where the kernel refuses that."""

    def __init__(self, module: BpfModule) -> None:
        self._ring = module.ring_buffer("exits")
        self._lost = module.map("exits_lost")
        self._waiting: dict[tuple[int, int], ThreadExit] = {}  # by tid and beginning
        self._programs = [
            module.load(function, bpf.PROG_RAW_TRACEPOINT) for function in _TRACEPOINTS
        ]
        self._links: list[int] = []
        try:
            for program in self._programs:
                tracepoint = _TRACEPOINTS[program.name]
                self._links.append(bpf.open_raw_tracepoint(tracepoint, program.descriptor))
        except OSError:
            self.close()
            raise

    def cost_ns(self) -> int:
        """Return the time that programs took; 0 while nobody has the kernel measure them."""
        return sum(program.statistics().run_time_ns for program in self._programs)

    def lost(self) -> int:
        """Return how many reports found no room, of ends and of what was freed."""
        return int.from_bytes(self._lost.get(bytes(4)) or b"", "little")

    def read_exits(self) -> Iterator[ThreadExit]:
        """Yield the threads that were freed since the last call."""
        for record in self._ring.drain():
            cpu_ns, run_delay_ns, started_ns, tid, is_freed, name = RECORD.unpack(record)
            text = name.split(b"\0", 1)[0].decode(errors="replace")
            ended = ThreadExit(ThreadTime(tid, text, cpu_ns, run_delay_ns), started_ns)
            if not is_freed:
                self._waiting[tid, started_ns] = ended
            elif self._waiting.pop((tid, started_ns), None) is not None:
                yield ended  # else it had ended before we listened, or was reported already
        while len(self._waiting) > _MOST_WAITING:
            yield self._waiting.pop(next(iter(self._waiting)))

    def read_last_exits(self) -> Iterator[ThreadExit]:
        """Yield all that have ended; takes 0.1 s, in which the kernel frees nearly all of them."""
        for _ in range(_GRACE_PERIODS):
            bpf.wait_for_grace_period()
            time.sleep(_CALLBACKS_S)
        yield from self.read_exits()
        while self._waiting:
            yield self._waiting.pop(next(iter(self._waiting)))

    def close(self) -> None:
        """Stop reading."""
        links, self._links = self._links, []
        bpf.close_all(links)
