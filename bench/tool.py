"""What the profiler itself takes: its start, its CPU time and memory; and how exact its clock is.

A user waits for the start, and on a machine without idle CPUs the rest is taken from the target.
Phones register 25 times a second meanwhile.
"""

from __future__ import annotations

import os
import resource
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
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
_NOTE = struct.Struct("<QQ")
_NOTE_NS = 10_000_000
_LEAST_WAITED_NS = 100_000


def _tables_s(loaded: tuple[LoadedCode, ...]) -> float:
    begin = time.process_time()
    TableLibrary().prepare(loaded)
    return time.process_time() - begin


def _compute(notes: int) -> None:
    """Use the CPU, and write (monotonic, CPU time) in nanoseconds now and then."""
    while True:
        until = time.monotonic_ns() + _NOTE_NS
        while time.monotonic_ns() < until:
            pass
        os.write(notes, _NOTE.pack(time.monotonic_ns(), time.process_time_ns()))


@contextmanager
def _busy_process() -> Iterator[tuple[int, int]]:
    """Run a process that computes, on another CPU than we if there are two; yield pid and notes."""
    allowed = os.sched_getaffinity(0)
    notes, written = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, {max(allowed)})
        _compute(written)
    os.close(written)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        yield pid, notes
    finally:
        os.sched_setaffinity(0, allowed)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(notes)


def _errors_us(readings: list[tuple[int, int]], notes: list[tuple[int, int]]) -> list[float]:
    """Return how far readings (monotonic, CPU time) are from what the process noted around them."""
    found = []
    for at_ns, cpu_ns in readings:
        index = bisect_right(notes, (at_ns, 0))
        if not 0 < index < len(notes):
            continue
        (before_ns, before_cpu_ns), (after_ns, after_cpu_ns) = notes[index - 1 : index + 1]
        waited_ns = (after_ns - before_ns) - (after_cpu_ns - before_cpu_ns)
        if waited_ns < _LEAST_WAITED_NS:  # else nobody knows what it had used in between
            # An exact reading takes its CPU for a moment before the time is noted.
            found.append(abs(after_cpu_ns - (after_ns - at_ns) - cpu_ns) / 1e3)
    return found


def _clock_errors_us() -> tuple[list[float], list[float]]:
    """Return the errors of plain and of exact readings of a busy process's CPU clock."""
    plain, exact = [], []
    priority = RealtimePriority()
    with _busy_process() as (pid, notes):
        clock = ProcessClock(pid)
        for _ in range(READINGS):
            time.sleep(0.007)
            plain.append((time.monotonic_ns(), clock.read_ns()))
            time.sleep(0.007)
            priority.begin()
            read_ns = clock.read_exactly_ns()
            exact.append((time.monotonic_ns(), read_ns))
            priority.end()
        time.sleep(0.1)
        noted = list(_NOTE.iter_unpack(os.read(notes, 1 << 16)))
    return _errors_us(plain, noted), _errors_us(exact, noted)


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
    ratio = statistics.median(plain) / max(statistics.median(exact), 1e-3)
    return Table(
        "tool",
        ("what", "median of readings"),
        rows,
        (promise(f"an exact reading is at least 5 times as close ({ratio:.0f})", ratio >= 5),),
    )


def _microseconds(errors: list[float]) -> str:
    return f"{statistics.median(errors):.0f} us off, at most {max(errors):.0f}"
