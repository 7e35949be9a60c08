"""What threads are started with, reported by the kernel when they are born: however short they are.

Only for threads of glibc, whose descriptor says it at an offset that start_routine.py finds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import PurePosixPath

from profiler.binary.elf import ElfError
from profiler.binary.start_routine import start_routine_offset
from profiler.linux import bpf
from profiler.linux.btf import offsets
from profiler.linux.module import BpfModule
from profiler.process.mappings import LoadedCode

_FUNCTION, _TRACEPOINT = "thread_born", "task_newtask"
RECORD = struct.Struct("<QQII")  # struct thread_birth
_WITH_THREADS = ("libc.", "libc-", "libpthread")  # names of files: libpthread until glibc 2.33
_LIBRARIES_MAX = 8  # that are looked at
Birth = tuple[int, tuple[int, int]]  # tid; start routine, and the first word of its argument


def definitions() -> dict[str, int]:
    """Return the macros that births.bpf.c needs beside those of exits.bpf.c; {} without BTF."""
    places = offsets("task_struct", ("thread.fsbase",))
    return {"TASK_FS_BASE": places[0]} if places else {}


def find_start_routine_offset(loaded: Iterable[LoadedCode]) -> int | None:
    """Return where the target's C library keeps start routines; None if that is not known."""
    libraries = {
        code.file.path: code.file.elf
        for code in loaded
        if code.file is not None and PurePosixPath(code.file.path).name.startswith(_WITH_THREADS)
    }
    for elf in islice(libraries.values(), _LIBRARIES_MAX):
        with suppress(ElfError):
            offset = start_routine_offset(elf)
            if offset is not None:
                return offset
    return None


class ThreadBirths:
    """Reads the births of the target's threads. Raises OSError where the kernel refuses that."""

    def __init__(self, module: BpfModule) -> None:
        self._ring = module.ring_buffer("births")
        self._program = module.load(_FUNCTION, bpf.PROG_RAW_TRACEPOINT)
        self._links = [bpf.open_raw_tracepoint(_TRACEPOINT, self._program.descriptor)]

    def cost_ns(self) -> int:
        """Return the time that the program took; 0 while nobody has the kernel measure it."""
        return self._program.statistics().run_time_ns

    def read(self) -> Iterator[Birth]:
        """Yield the threads that were born since the last call, in that order."""
        for record in self._ring.drain():
            routine, told, tid, _ = RECORD.unpack(record)
            yield tid, (routine, told)

    def close(self) -> None:
        """Stop reading."""
        links, self._links = self._links, []
        bpf.close_all(links)
