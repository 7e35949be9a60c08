"""What sampling at 99 Hz with whole stacks costs, ours and that of perf, in one run."""

from __future__ import annotations

import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.pairs import paired_ratio
from bench.session import Session
from bench.storm import Reading, Storm
from bench.tables import Table, promise
from lab import instance
from lab.instance import Instance
from profiler.record.preparation.sampling import Options
from profiler.wire.unwind import STACK_HEAD

ASTERISK = instance.Options("16")
FREQUENCY_HZ = 99
ROUNDS = 8
SECONDS = 5.0
_CHAIN = 1_000
_SAMPLE_BYTES = STACK_HEAD.size
_STACK_BYTES = "65528"  # perf's most; with its default of 8192 half of the stacks end early
_THREAD_STARTS = re.compile(r"\b(start_thread|_{0,2}clone3?)\b")


@dataclass(frozen=True, slots=True)
class Tool:
    """What one tool did in one round."""

    reading: Reading
    cpu_s: float
    written_bytes: int
    whole_ratio: float


def _ours(storm: Storm, session: Session) -> Tool:
    """Sample for a while; stacks are stored once, so what is written is what samples need."""
    sampler = session.run.sampler
    before, cpu, seen = storm.read(), time.process_time(), sampler.samples.seen
    accounting = sampler.accounting()
    session.on(SECONDS)
    cpu = time.process_time() - cpu
    reading = storm.read() - before
    after = sampler.accounting()
    fired, kept = after.fired - accounting.fired, after.kept - accounting.kept
    written = (sampler.samples.seen - seen) * _SAMPLE_BYTES
    written += sum(8 * len(stack.frames) for stack in sampler.stacks.values())
    return Tool(reading, cpu, written, kept / max(fired, 1))


def _perf(storm: Storm, pid: int, place: Path) -> Tool:
    path = place / "perf.data"
    command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", str(FREQUENCY_HZ), "-p", str(pid)]
    command += ["--call-graph", f"dwarf,{_STACK_BYTES}", "-o", str(path), "sleep", str(SECONDS)]
    before, used = storm.read(), _children_s()
    subprocess.run(command, check=True, capture_output=True)
    reading = storm.read() - before
    written = path.stat().st_size
    script = ["perf", "script", "-i", str(path), "-F", "tid,ip,sym,dso"]
    text = subprocess.run(script, check=True, capture_output=True, text=True).stdout
    cpu = _children_s() - used
    stacks = [stack for stack in text.split("\n\n") if stack.strip()]
    whole = sum(1 for stack in stacks if _THREAD_STARTS.search(stack.strip().split("\n")[-1]))
    return Tool(reading, cpu, written, whole / max(len(stacks), 1))


def _children_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _nothing(storm: Storm) -> Reading:
    before = storm.read()
    time.sleep(SECONDS)
    return storm.read() - before


def run(asterisk: Instance) -> Table:
    """Return the table; linux-perf must be installed."""
    assert shutil.which("perf"), "install linux-perf"
    tools: dict[str, list[Tool]] = {"ebpf-prof": [], "perf dwarf": []}
    plain: dict[str, list[float]] = {"ebpf-prof": [], "perf dwarf": []}
    options = Options(1, frequency_hz=FREQUENCY_HZ, lookups=False)
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        storm = stack.enter_context(Storm(asterisk, _CHAIN))
        session = stack.enter_context(Session(asterisk.pid, options))
        before = _speed(_nothing(storm))
        for number in range(2 * ROUNDS):
            label = tuple(tools)[number % 2]
            if label == "ebpf-prof":
                tool = _ours(storm, session)
            else:
                tool = _perf(storm, asterisk.pid, place)
            after = _speed(_nothing(storm))
            tools[label].append(tool)
            plain[label].append((before + after) / 2)
            before = after
    rows = [_row(label, rounds, plain[label]) for label, rounds in tools.items()]
    ours = paired_ratio([_speed(t.reading) for t in tools["ebpf-prof"]], plain["ebpf-prof"])
    lost = f"{1 - ours.median:.2%}, at most {1 - ours.low:.2%}"
    return Table(
        "sampling",
        (f"tool, {FREQUENCY_HZ} Hz", "target's throughput", "its CPU time", "written", "whole"),
        tuple(rows),
        (promise(f"at most 0.3 % of the target's throughput ({lost})", ours.median >= 0.997),),
    )


def _speed(reading: Reading) -> float:
    return 1 / reading.cpu_ns_per_lookup


def _row(label: str, rounds: list[Tool], plain: list[float]) -> tuple[str, ...]:
    return (
        label,
        str(paired_ratio([_speed(one.reading) for one in rounds], plain)),
        f"{statistics.median(one.cpu_s for one in rounds):.3f} s",
        f"{statistics.median(one.written_bytes for one in rounds) / 1e6:.3f} MB",
        f"{100 * statistics.median(one.whole_ratio for one in rounds):.1f} %",
    )
