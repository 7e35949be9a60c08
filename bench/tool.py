"""What the profiler itself takes: its start, its CPU time and memory; and how exact its clock is.

A user waits for the start, and on a machine without idle CPUs the rest is taken from the target.
Phones register 25 times a second meanwhile.
"""

from __future__ import annotations

import mmap
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.tables import Table, promise
from lab import instance, traffic
from lab.instance import Instance
from profiler.linux.realtime import RealtimePriority
from profiler.process.cpu_clock import ProcessClock
from profiler.process.mappings import LoadedCode, TargetCode
from profiler.unwind.kernel_tables import TableLibrary

ASTERISK = instance.Options("16", buckets=7, taskprocessors=55_585)
SECONDS = 30
CALLS_HZ = 25.0
READINGS = 300
_START_SECONDS = 15  # that the profiler takes before it measures, and after
_CPU_NS = struct.Struct("<Q")


def _tables_s(loaded: tuple[LoadedCode, ...]) -> float:
    begin = time.process_time()
    TableLibrary().prepare(loaded)
    return time.process_time() - begin


@contextmanager
def _busy_process(page: mmap.mmap) -> Iterator[int]:
    """Run a process that does nothing but write its CPU time; yield its pid."""
    pid = os.fork()
    if pid == 0:
        parent = os.getppid()
        while os.getppid() == parent:
            _CPU_NS.pack_into(page, 0, time.process_time_ns())
    try:
        time.sleep(0.1)
        yield pid
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def _clock_errors_us() -> tuple[list[float], list[float]]:
    """Return how far plain and exact readings are from what a running process read itself."""
    plain, exact = [], []
    priority = RealtimePriority()
    with mmap.mmap(-1, mmap.PAGESIZE) as page, _busy_process(page) as pid:
        clock = ProcessClock(pid)
        for _ in range(READINGS):
            time.sleep(0.01)
            read = clock.read_ns()
            plain.append(abs(read - _CPU_NS.unpack_from(page)[0]) / 1e3)
            time.sleep(0.01)
            priority.begin()
            read = clock.read_exactly_ns()
            exact.append(abs(read - _CPU_NS.unpack_from(page)[0]) / 1e3)
            priority.end()
    return plain, exact


def _profile(asterisk: Instance, folder: str) -> tuple[float, float, float]:
    """Run the command once; return its CPU seconds, the seconds beyond its duration, and its MB."""
    command = [sys.executable, "-m", "profiler", "asterisk", "-p", str(asterisk.pid)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begin = time.monotonic()
    subprocess.run(
        [*command, "-d", str(SECONDS), "-o", str(Path(folder) / "results")],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    waited = time.monotonic() - begin - SECONDS
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used, waited, after.ru_maxrss / 1024


def run(asterisk: Instance) -> Table:
    """Return the table."""
    plain, exact = _clock_errors_us()
    code = TargetCode(asterisk.pid)
    code.refresh()
    files = {loaded.file.path for loaded in code.current if loaded.file}
    with tempfile.TemporaryDirectory() as folder:
        tables_s = _tables_s(code.current)
        with ThreadPoolExecutor(1) as pool:
            count = round(CALLS_HZ * (SECONDS + _START_SECONDS))
            calls = pool.submit(traffic.run, "register", asterisk, CALLS_HZ, count)
            used_s, waited_s, memory_mb = _profile(asterisk, folder)
            calls.result()
    rows = (
        (f"unwind tables of {len(files)} files", f"{tables_s:.2f} s of CPU time"),
        ("CPU time of a whole run", f"{used_s:.1f} s"),
        (f"waited beyond its {SECONDS} s", f"{waited_s:.1f} s"),
        ("most memory", f"{memory_mb:.0f} MB"),
        ("CPU clock of a busy process, plain", _microseconds(plain)),
        ("the same, read exactly", _microseconds(exact)),
    )
    return Table(
        "tool",
        ("what", "median of readings"),
        rows,
        (promise("the unwind tables take less than a second", tables_s < 1),),
    )


def _microseconds(errors: list[float]) -> str:
    return f"{statistics.median(errors):.0f} us off, at most {max(errors):.0f}"
