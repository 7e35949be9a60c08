"""The threads of a process as /proc shows them: less than the kernel's programs see.

What a thread's registers hold is known of those that say where its stack is, and of the arguments
of its system call.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from profiler.process.procfs import PROC, parse_stat, read_text, read_tids
from profiler.process.threads.present_threads import (
    R8,
    R9,
    R10,
    RDI,
    RDX,
    RSI,
    RSP,
    PresentThread,
)

# The kernel's bits of what /proc shows as a letter: fs/proc/array.c, task_state_array.
_STATES = {"R": 0, "S": 1, "D": 2, "T": 4, "t": 8, "X": 16, "Z": 32}
_ARGUMENTS = (RDI, RSI, RDX, R10, R8, R9)


def read_proc_threads(pid: int, proc: Path = PROC) -> tuple[PresentThread, ...]:
    """Return the threads of this moment; () when the process is gone."""
    found = []
    for tid in read_tids(pid, proc):
        with suppress(OSError, ValueError, IndexError):  # it has ended, or we may not look
            found.append(_read_thread(proc / str(pid) / "task" / str(tid), tid))
    return tuple(found)


def _read_thread(folder: Path, tid: int) -> PresentThread:
    stat = parse_stat(read_text(folder / "stat"))
    slices = int(read_text(folder / "schedstat").split()[2])
    words = read_text(folder / "syscall").split()
    registers: list[int | None] = [None] * 16
    numbers = [int(word, 16) for word in words[1:]] if len(words) > 1 else []
    is_running = len(numbers) < 2
    syscall = None
    if not is_running:
        registers[RSP] = numbers[-2]
        if words[0] != "-1":
            syscall = int(words[0])
            for register, value in zip(_ARGUMENTS, numbers, strict=False):
                registers[register] = value
    return PresentThread(
        tid=tid,
        ip=0 if is_running else numbers[-1],
        registers=tuple(registers),
        fs_base=0,
        is_on_cpu=is_running,
        syscall=syscall,
        state=_STATES.get(stat.state, 1),
        switches=slices,
        name=stat.name,
    )
