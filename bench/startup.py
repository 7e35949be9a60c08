"""What a short run takes as a whole, beside perf, bpftrace and BCC's profile: time, CPU, memory.

Each tool runs as a user starts it, in random order, on a target whose threads fill the CPUs. What
ours keeps between runs lies in a folder of its own, which is empty for the cold ones.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.storm import Storm
from bench.tables import Table, promise
from lab import instance
from lab.instance import Instance
from profiler.files.recording_file import read_recording
from profiler.linux.bcc import bpf_directory

ASTERISK = instance.Options("16")
SECONDS = 3
FREQUENCY_HZ = 99
TURNS = 5
THREADS = (1, 16, 40, 200)
OTHERS = (4,)
LIMIT_S = 120
_AUTOGROUPS = Path("/proc/sys/kernel/sched_autogroup_enabled")
_REPOSITORY = Path(__file__).resolve().parents[1]
_CHAIN = 1_000
_STORM_THREADS = 32  # the most of one run of the ground-truth module
# What BCC's profile takes from the kernel's headers, and our shim does not have.
_SCHED_H = "#define TASK_COMM_LEN 16\n#define PAGE_OFFSET 0xffff800000000000UL\n"
_BPFTRACE = (
    f"profile:hz:{FREQUENCY_HZ} /pid == %d/ "
    "{ if (@first == 0) { @first = nsecs; } @[ustack, kstack] = count(); } "
    f"interval:s:{SECONDS} {{ exit(); }}"
)


@dataclass(frozen=True, slots=True)
class Whole:
    """One run of a tool. None: that tool does not report it; infinite: it was killed."""

    beyond_s: float  # how much longer than its duration
    first_s: float | None  # from the start of the process to its first sample
    after_s: float | None  # from the end of what it measured to the end of the process
    cpu_s: float
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Run:
    """What whole_run.py noted, and what the tool printed."""

    begin_ns: int
    end_ns: int
    code: int
    cpu_s: float
    memory_mb: float
    out: str

    def whole(self, first_ns: int | None = None, last_ns: int | None = None) -> Whole:
        """Return it with what the tool said about its first and its last moment."""
        is_over = self.code == 0
        return Whole(
            beyond_s=(self.end_ns - self.begin_ns) / 1e9 - SECONDS if is_over else math.inf,
            first_s=None if first_ns is None else (first_ns - self.begin_ns) / 1e9,
            after_s=None if last_ns is None else (self.end_ns - last_ns) / 1e9,
            cpu_s=self.cpu_s,
            memory_mb=self.memory_mb,
        )


class Tools:
    """The tools, each a call that runs it once on a process."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._cache = place / "cache"
        self._headers = place / "headers"
        shutil.copytree(bpf_directory() / "shim", self._headers)
        (self._headers / "include" / "linux" / "sched.h").write_text(_SCHED_H)
        self.by_name: Mapping[str, Callable[[int], Whole]] = {
            "ebpf-prof": self._ours,
            "ebpf-prof, cold": self._cold,
            "ebpf-prof --cpu-only": lambda pid: self._ours(pid, "--cpu-only"),
            "perf record -g": self._perf,
            "bpftrace": self._bpftrace,
            "BCC's profile": self._bcc,
        }

    def _ours(self, pid: int, *options: str) -> Whole:
        folder = self._place / "results"
        command = [sys.executable, "-m", "profiler", "asterisk", "-p", str(pid)]
        command += ["-d", f"{SECONDS}s", "-F", str(FREQUENCY_HZ), "-o", str(folder), *options]
        run = self._run(command, EBPF_PROF_CACHE=str(self._cache))
        if run.code:
            return run.whole()
        window = read_recording(folder / "recording").window
        return run.whole(window.start_ns, window.end_ns)

    def _cold(self, pid: int) -> Whole:
        kept = self._cache
        with tempfile.TemporaryDirectory(dir=self._place) as empty:
            self._cache = Path(empty)
            try:
                return self._ours(pid)
            finally:
                self._cache = kept

    def _perf(self, pid: int) -> Whole:
        path = self._place / "perf.data"
        command = ["perf", "record", "-q", "-g", "-e", "cpu-clock", "-F", str(FREQUENCY_HZ)]
        command += ["-k", "mono", "-p", str(pid), "-o", str(path), "sleep", str(SECONDS)]
        run = self._run(command)
        script = ["perf", "script", "-i", str(path), "-F", "time", "--ns"]
        times = subprocess.run(script, capture_output=True, text=True, check=False).stdout
        return run.whole(parse_perf_ns(times))

    def _bpftrace(self, pid: int) -> Whole:
        run = self._run(["bpftrace", "-e", _BPFTRACE % pid])
        return run.whole(parse_bpftrace_ns(run.out))

    def _bcc(self, pid: int) -> Whole:
        command = ["profile-bpfcc", "-F", str(FREQUENCY_HZ), "-p", str(pid), str(SECONDS)]
        return self._run(command, BCC_KERNEL_SOURCE=str(self._headers)).whole()

    def _run(self, command: Sequence[str], **changes: str) -> Run:
        report = self._place / "report.json"
        launcher = [sys.executable, "-S", "-E", str(_REPOSITORY / "bench" / "whole_run.py")]
        done = subprocess.run(
            [*launcher, str(report), str(LIMIT_S), *command],
            cwd=_REPOSITORY,
            env={**os.environ, **changes},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        )
        run = Run(**json.loads(report.read_text()), out=done.stdout)
        if run.code > 0:
            raise RuntimeError(f"{' '.join(command)} ends with {run.code}: {done.stderr[-2000:]}")
        return run


def parse_perf_ns(times: str) -> int | None:
    """Return the first time that `perf script -F time --ns` prints, None where there is none."""
    found = re.findall(r"(\d+)\.(\d{9}):", times)
    return min((int(seconds + ns) for seconds, ns in found), default=None)


def parse_bpftrace_ns(out: str) -> int | None:
    """Return the time of the first sample, None where there is none."""
    found = re.search(r"^@first: (\d+)$", out, re.MULTILINE)
    return int(found[1]) if found else None


@contextmanager
def _equal_shares() -> Iterator[None]:
    """Let a tool compete with each thread of the target, as in one container.

    Linux would give both sessions the same share (sched(7), The autogroup feature). It asks for the
    setting when threads are made: so make them in this context.
    """
    before = _AUTOGROUPS.read_text() if _AUTOGROUPS.exists() else None
    try:
        if before is not None:
            _AUTOGROUPS.write_text("0")
        yield
    finally:
        if before is not None:
            _AUTOGROUPS.write_text(before)


@contextmanager
def _target(asterisk: Instance, threads: int) -> Iterator[None]:
    """Let so many threads be runnable: they search without a lock that one could hold."""
    with ExitStack() as stack:
        for first in range(0, threads, _STORM_THREADS):
            count = min(_STORM_THREADS, threads - first)
            storm = Storm(asterisk, _CHAIN + first, count, container="lock=nolock")
            stack.enter_context(storm)
        yield


@contextmanager
def _others(count: int) -> Iterator[None]:
    """Let other processes use the CPUs."""
    processes = [subprocess.Popen(["yes"], stdout=subprocess.DEVNULL) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _measure(
    asterisk: Instance, tools: Tools, threads: int, others: int, turns: int
) -> dict[str, list[Whole]]:
    found: dict[str, list[Whole]] = {name: [] for name in tools.by_name}
    generator = random.Random(1)  # noqa: S311
    for _ in range(turns):
        with _equal_shares(), _target(asterisk, threads), _others(others):
            time.sleep(1)
            for name in generator.sample(tuple(tools.by_name), len(tools.by_name)):
                found[name].append(tools.by_name[name](asterisk.pid))
    return found


def seconds_cell(times: Sequence[float | None]) -> str:
    """Return the median and the longest; that a run had to be killed, or reported nothing."""
    known = [one for one in times if one is not None]
    if not known:
        return ""
    median, longest = statistics.median(known), max(known)
    if math.isinf(median):
        return f"more than {LIMIT_S} s"
    return f"{median:.2f} s, at most {'?' if math.isinf(longest) else f'{longest:.2f}'}"


def _median(values: Sequence[float | None]) -> float:
    """Return the median, infinite where nothing is known."""
    return statistics.median([value for value in values if value is not None] or [math.inf])


def _row(situation: str, name: str, runs: Sequence[Whole]) -> tuple[str, ...]:
    return (
        situation,
        name,
        seconds_cell([run.beyond_s for run in runs]),
        seconds_cell([run.first_s for run in runs]),
        f"{statistics.median(run.cpu_s for run in runs):.2f} s",
        f"{statistics.median(run.memory_mb for run in runs):.0f} MB",
    )


def _promises(threads: int, others: int, found: Mapping[str, Sequence[Whole]]) -> list[str]:
    """Return what was promised for a situation: for a quiet machine, and for a busy target."""
    warm, cold = found["ebpf-prof"], found["ebpf-prof, cold"]
    first, after = _median([r.first_s for r in warm]), _median([r.after_s for r in warm])
    if others:
        return []
    if threads > 1:
        words = f"{threads} threads: samples within 3 s ({first:.2f}), over 3 s later ({after:.2f})"
        return [promise(words, first <= 3 and after <= 3)]
    first_cold, cpu = _median([r.first_s for r in cold]), _median([r.cpu_s for r in warm])
    return [
        promise(f"samples within 0.6 s ({first:.2f})", first <= 0.6),
        promise(f"cold within 1.2 s ({first_cold:.2f})", first_cold <= 1.2),
        promise(f"over within 0.7 s after the duration ({after:.2f})", after <= 0.7),
        promise(f"at most 1.0 s of CPU time ({cpu:.2f})", cpu <= 1.0),
    ]


def _situations(threads: Sequence[int], others: Sequence[int]) -> Iterator[tuple[str, int, int]]:
    """Yield words, threads of the target, other processes: more of one kind at a time."""
    cpus = os.cpu_count() or 1
    for count in threads:
        yield f"{count} thread{'s' if count > 1 else ''}", count, 0
    for per_cpu in others:
        yield f"1 thread, {per_cpu * cpus} other processes", 1, per_cpu * cpus


def run(
    asterisk: Instance,
    threads: Sequence[int] = THREADS,
    others: Sequence[int] = OTHERS,
    turns: int = TURNS,
) -> Table:
    """Return the table; linux-perf, bpftrace and bpfcc-tools must be installed."""
    for needed in ("perf", "bpftrace", "profile-bpfcc"):
        assert shutil.which(needed), f"install {needed}"
    rows: list[tuple[str, ...]] = []
    verdicts: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        tools = Tools(Path(name))
        _measure(asterisk, tools, 1, 0, 1)  # so that all of them have been read from the disk
        for words, searching, other in _situations(threads, others):
            found = _measure(asterisk, tools, searching, other, turns)
            for tool, runs in found.items():
                rows.append(_row(words, tool, runs))
                print("startup", *rows[-1], sep="  ", flush=True)
            verdicts += _promises(searching, other, found)
    headings = ("target", "tool", f"beyond its {SECONDS} s", "first sample", "CPU time", "memory")
    return Table("startup", headings, tuple(rows), tuple(verdicts))
