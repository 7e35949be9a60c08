"""The threads that the target has, and where they left user mode, as the kernel has saved it."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass

from profiler.linux import bpf
from profiler.linux.btf import function_ids, offsets
from profiler.linux.module import BpfModule

_FUNCTION, _ITERATOR = "thread_present", "bpf_iter_task"  # the latter is the kernel's, Linux 5.8
RECORD = struct.Struct("<QQQQII")  # struct present_thread


@dataclass(frozen=True, slots=True)
class PresentThread:
    """A thread and its registers in user mode; `ip`, `sp` and `bp` are old while it is on a CPU."""

    tid: int
    ip: int
    sp: int
    bp: int
    fs_base: int
    is_on_cpu: bool


def definitions() -> dict[str, int]:
    """Return the macros that present_threads.bpf.c needs beside others'; {} without BTF."""
    places = offsets("task_struct", ("on_cpu",))
    return {"TASK_ON_CPU": places[0]} if places else {}


class PresentThreads:
    """Reads them. Raises OSError where the kernel refuses that."""

    def __init__(self, module: BpfModule) -> None:
        self._ring = module.ring_buffer("present_threads")
        iterator = function_ids(frozenset((_ITERATOR,))).get(_ITERATOR, 0)
        self._program = module.load(_FUNCTION, bpf.PROG_TRACING, bpf.ATTACH_ITERATOR, iterator)

    def read(self) -> tuple[PresentThread, ...]:
        """Return those of this moment; those seen until then, where the kernel has no memory."""
        with suppress(OSError):  # also no descriptors: nothing to lose a recording for
            bpf.iterate(self._program.descriptor)
        rows = map(RECORD.unpack, self._ring.drain())
        return tuple(
            PresentThread(tid, ip, sp, bp, fs_base, bool(on_cpu))
            for ip, sp, bp, fs_base, tid, on_cpu in rows
        )
