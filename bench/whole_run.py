"""Runs a command as a user does and notes what it took: `whole_run.py REPORT SECONDS COMMAND...`.

A process of its own, because Linux counts the memory of who starts a program into that program's
peak (exec_mmap() in fs/exec.c): a benchmark needs more than some of the tools that it starts.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path


def run(command: list[str], limit_s: int) -> dict[str, float]:
    """Run it, kill it after a while, and return times in monotonic nanoseconds, CPU and memory."""
    begin_ns = time.monotonic_ns()
    pid = os.posix_spawnp(command[0], command, os.environ, setpgroup=0)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(pid, signal.SIGKILL))
    signal.alarm(limit_s)
    _, status, used = os.wait4(pid, 0)
    return {
        "begin_ns": begin_ns,
        "end_ns": time.monotonic_ns(),
        "code": os.waitstatus_to_exitcode(status),
        "cpu_s": used.ru_utime + used.ru_stime,
        "memory_mb": used.ru_maxrss / 1024,
    }


if __name__ == "__main__":
    report, limit, *words = sys.argv[1:]
    Path(report).write_text(json.dumps(run(words, int(limit))))
