"""What `ebpf-prof waits` takes where there are 5,000 threads, and whether calls notice it."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.pairs import Pairs
from bench.tables import Table, promise
from lab import instance, traffic
from lab.instance import Instance

ASTERISK = instance.Options("22")
CALLS = 2_500  # each has two channels, with a thread each
ROUNDS = 5
_WAYS = ((), ("--check",), ("--json",))
_SIP_RATE, _SIP_CALLS = 10, 60


@dataclass(frozen=True, slots=True)
class _Run:
    wall_s: float
    cpu_s: float
    memory_bytes: int


def _command(pid: int, *options: str) -> list[str]:
    return [sys.executable, "-m", "profiler", "waits", "-p", str(pid), *options]


def _run(pid: int, options: tuple[str, ...]) -> _Run:
    began_ns = time.monotonic_ns()
    with subprocess.Popen(_command(pid, *options), stdout=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    wall_s = (time.monotonic_ns() - began_ns) / 1e9
    return _Run(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10)


@contextmanager
def _looking(pid: int) -> Iterator[None]:
    """Look again and again until the block ends."""
    command = _command(pid, "--every", "1s")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        yield
        process.send_signal(signal.SIGINT)


def _call(asterisk: Instance) -> traffic.Summary:
    return traffic.run("calls", asterisk, _SIP_RATE, _SIP_CALLS)


def _channels(asterisk: Instance) -> int:
    return int(asterisk.cli("core show channels count").split()[0])


def run(asterisk: Instance) -> Table:
    """Return the table."""
    asterisk.cli("module load res_clioriginate.so")
    asterisk.cli("dialplan add extension 1,1,Answer, into waiting")
    asterisk.cli("dialplan add extension 1,2,Wait,7200 into waiting")
    for _ in range(CALLS):
        asterisk.cli("channel originate Local/1@waiting application Wait 7200")
    up = _channels(asterisk)
    assert up >= CALLS
    threads = len(os.listdir(f"/proc/{asterisk.pid}/task"))  # noqa: PTH208
    runs = {way: [_run(asterisk.pid, way) for _ in range(ROUNDS)] for way in _WAYS}
    answers, failed = Pairs(), 0
    for _ in range(ROUNDS):
        with _looking(asterisk.pid):
            beside = _call(asterisk)
        alone = _call(asterisk)
        answers.add(beside.response_ms, alone.response_ms)
        failed += beside.failed + alone.failed
    lost = up - _channels(asterisk)
    fastest_s = min(one.wall_s for ways in runs.values() for one in ways)
    memory = max(one.memory_bytes for ways in runs.values() for one in ways)
    held = statistics.median(answers.with_it), statistics.median(answers.without)
    return Table(
        "waits",
        (f"{threads:,} threads, {up:,} channels", "time", "CPU time", "memory"),
        tuple(_row(way, found) for way, found in runs.items()),
        (
            promise(f"the fastest picture in less than 2 s ({fastest_s:.2f} s)", fastest_s < 2),
            promise(f"less than 200 MB ({memory / 1e6:.0f} MB)", memory < 200e6),
            promise(f"no call lost ({lost + failed})", not lost + failed),
            f"answers to INVITE came after {held[0]:.0f} ms beside `--every 1s`, {held[1]:.0f} ms "
            "without",
        ),
    )


def _row(way: tuple[str, ...], runs: list[_Run]) -> tuple[str, ...]:
    return (
        " ".join(("ebpf-prof waits", *way)),
        f"{statistics.median(one.wall_s for one in runs):.2f} s",
        f"{statistics.median(one.cpu_s for one in runs):.2f} s",
        f"{max(one.memory_bytes for one in runs) / 1e6:.0f} MB",
    )
