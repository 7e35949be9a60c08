"""The threads that the target has, and where they left user mode, as the kernel has saved it."""

from __future__ import annotations

import struct
import time
from contextlib import suppress
from dataclasses import dataclass

from profiler.linux import bpf
from profiler.linux.btf import function_ids, offsets
from profiler.linux.module import BpfModule

_FUNCTION, _ITERATOR = "thread_present", "bpf_iter_task"  # the latter is the kernel's, Linux 5.8
RECORD = struct.Struct("<21Q8Q4I16s")  # struct present_thread
# Macros of present_threads.bpf.c beside those of others, and whose offsets in struct task_struct
# they are.
_MEMBERS = {
    "TASK_ON_CPU": "on_cpu",
    "TASK_ARRIVED": "sched_info.last_arrival",
    "TASK_CPU_BEFORE": "se.prev_sum_exec_runtime",
    "TASK_YIELDED": "nvcsw",
    "TASK_PREEMPTED": "nivcsw",
    "TASK_PRIORITY": "prio",
}
_STATES = ("__state", "state")  # the latter before Linux 5.14
# Where struct pt_regs has the registers, by DWARF number (System V psABI table 3.36).
_BY_DWARF = (10, 12, 11, 5, 13, 14, 4, 19, 9, 8, 7, 6, 3, 2, 1, 0)
_ORIG_AX, _IP = 15, 16
_FIRST_ORDINARY = 100  # MAX_RT_PRIO, include/linux/sched/prio.h
_WAKE_S = 0.0001
# By DWARF number.
RAX, RDX, RBX, RSI, RDI, RBP, RSP, R8, R9, R10 = 0, 1, 3, 4, 5, 6, 7, 8, 9, 10


@dataclass(frozen=True, slots=True)
class PresentThread:
    """A thread and its registers in user mode; they are old while it is on a CPU.

    `registers` are by DWARF number, None where not known. `stopped_ns`: when it left a CPU last,
    CLOCK_MONOTONIC; None while it is on one. `state`: bits as the kernel has them, 0: it runs or
    is ready to.
    """

    tid: int
    ip: int
    registers: tuple[int | None, ...]
    fs_base: int
    is_on_cpu: bool
    syscall: int | None = None  # in which it is
    state: int = 0
    switches: int = 0  # how often it left a CPU
    stopped_ns: int | None = None
    name: str = ""


def definitions() -> dict[str, int]:
    """Return the macros that present_threads.bpf.c needs beside others'; {} without BTF."""
    places = offsets("task_struct", tuple(_MEMBERS.values()))
    state = next(filter(None, (offsets("task_struct", (name,)) for name in _STATES)), None)
    if places is None or state is None:
        return {}
    return {**dict(zip(_MEMBERS, places, strict=True)), "TASK_STATE": state[0]}


class PresentThreads:
    """Reads them. Raises OSError where the kernel refuses that."""

    def __init__(self, module: BpfModule) -> None:
        iterator = function_ids(frozenset((_ITERATOR,))).get(_ITERATOR, 0)
        self._program = module.load(_FUNCTION, bpf.PROG_TRACING, bpf.ATTACH_ITERATOR, iterator)

    def read(self) -> tuple[PresentThread, ...]:
        """Return those of this moment; those seen until then, where the kernel has no memory."""
        time.sleep(_WAKE_S)  # so that the scheduler's clock is known at about this moment
        parts: list[bytes] = []
        with suppress(OSError):  # also no descriptors: nothing to lose a recording for
            parts.extend(bpf.iterate(self._program.descriptor))
        data = b"".join(parts)
        rows = list(RECORD.iter_unpack(data[: len(data) // RECORD.size * RECORD.size]))
        ahead_ns = min((row[22] - row[23] for row in rows), default=0)
        return tuple(_decode(row, ahead_ns) for row in rows)


def _decode(row: tuple[int, ...], ahead_ns: int) -> PresentThread:
    """Return a thread; CLOCK_MONOTONIC is so far ahead of the scheduler's clock."""
    registers, (fs_base, now_ns, _, arrived_ns, ran_ns, before_ns) = row[:21], row[21:27]
    yielded, preempted, tid, on_cpu, state, priority = row[27:33]
    name = bytes(row[33]).split(b"\0", 1)[0].decode(errors="replace")
    stopped_ns = None
    if arrived_ns and not on_cpu:
        last_ns = ran_ns - before_ns if priority >= _FIRST_ORDINARY else 0
        stopped_ns = min(arrived_ns + ahead_ns + max(last_ns, 0), now_ns)
    syscall = registers[_ORIG_AX]
    return PresentThread(
        tid=tid,
        ip=registers[_IP],
        registers=tuple(registers[at] for at in _BY_DWARF),
        fs_base=fs_base,
        is_on_cpu=bool(on_cpu),
        syscall=syscall if syscall >> 63 == 0 else None,
        state=state,
        switches=yielded + preempted,
        stopped_ns=stopped_ns,
        name=name,
    )
