"""What sampling at 99 Hz with whole stacks costs, ours and that of perf, in turns in one run."""

from __future__ import annotations

import re
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.pairs import paired_ratio
from bench.storm import Reading, Storm
from bench.tables import Table, promise
from lab.instance import Instance
from profiler.options import Options
from profiler.recorder import Stop, record
from profiler.store import write_recording
from profiler.target import find_asterisk

FREQUENCY_HZ = 99
TURNS = 8
SECONDS = 5.0
_CHAIN = 1_000
_STACK_BYTES = "65528"  # perf's most; with its default of 8192 half of the stacks end early
_THREAD_STARTS = re.compile(r"\b(start_thread|__?clone3?)\b|\[unknown\] \(.*libc")


@dataclass(frozen=True, slots=True)
class Tool:
    """What one tool did in one turn."""

    reading: Reading
    cpu_s: float
    written_bytes: int
    whole_ratio: float


def _ours(storm: Storm, pid: int, place: Path) -> Tool:
    options = Options(round(SECONDS * 1e9), frequency_hz=FREQUENCY_HZ, lookups=False)
    before, cpu = storm.read(), time.process_time()
    recording = record(find_asterisk(pid), options, Stop(), lambda progress: None)
    cpu = time.process_time() - cpu
    reading = storm.read() - before
    path = place / "recording"
    write_recording(recording, path)
    accounting = recording.sample_accounting
    return Tool(reading, cpu, path.stat().st_size, accounting.kept / max(accounting.fired, 1))


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


def run(instance: Instance) -> Table:
    """Return the table; linux-perf must be installed."""
    assert shutil.which("perf"), "install linux-perf"
    tools: dict[str, list[Tool]] = {"ebpf-prof": [], "perf dwarf": []}
    plain: list[float] = []
    with tempfile.TemporaryDirectory() as name, Storm(instance, _CHAIN) as storm:
        for _ in range(TURNS):
            plain.append(1 / _nothing(storm).cpu_ns_per_lookup)
            tools["ebpf-prof"].append(_ours(storm, instance.pid, Path(name)))
            tools["perf dwarf"].append(_perf(storm, instance.pid, Path(name)))
    rows, least = [], 1.0
    for label, turns in tools.items():
        ratio = paired_ratio([1 / turn.reading.cpu_ns_per_lookup for turn in turns], plain)
        rows.append(
            (
                label,
                str(ratio),
                f"{statistics.median(turn.cpu_s for turn in turns):.2f} s",
                f"{statistics.median(turn.written_bytes for turn in turns) / 1e6:.2f} MB",
                f"{100 * statistics.median(turn.whole_ratio for turn in turns):.1f} %",
            )
        )
        if label == "ebpf-prof":
            least = ratio.median
    return Table(
        "sampling",
        (f"tool, {FREQUENCY_HZ} Hz", "target's throughput", "its CPU time", "written", "whole"),
        tuple(rows),
        (promise(f"at most 0.3 % of the target's throughput ({1 - least:.2%})", least >= 0.997),),
    )


