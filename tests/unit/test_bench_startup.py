from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

from bench import startup, whole_run
from bench.startup import Run, seconds_cell

SECOND_NS = 1_000_000_000


def run(code: int) -> Run:
    return Run(10 * SECOND_NS, 14 * SECOND_NS, code, 1.5, 60.0, "")


def test_times_are_those_of_the_whole_process() -> None:
    whole = run(0).whole(10_250_000_000, 13_300_000_000)
    assert (whole.beyond_s, whole.first_s, whole.after_s) == (1.0, 0.25, 0.7)


def test_a_run_that_was_killed_has_no_end() -> None:
    whole = run(-9).whole()
    assert (whole.beyond_s, whole.first_s, whole.after_s) == (math.inf, None, None)


def test_the_first_sample_of_perf() -> None:
    times = " 33601.052139417: \n\n 33601.042110001: \n\n 33601.062148960: \n\n"
    assert startup.parse_perf_ns(times) == 33_601_042_110_001
    assert startup.parse_perf_ns("") is None


def test_the_first_sample_of_bpftrace() -> None:
    out = "Attaching 2 probes...\n\n@[\n  main+0x7\n]: 12\n@first: 33601042110001\n"
    assert startup.parse_bpftrace_ns(out) == 33_601_042_110_001
    assert startup.parse_bpftrace_ns("Attaching 2 probes...\n@[]: 1\n") is None


def test_a_cell_has_the_median_and_the_longest() -> None:
    assert seconds_cell([1.0, 0.5, 2.25]) == "1.00 s, at most 2.25"
    assert seconds_cell([1.0, 0.5, math.inf]) == "1.00 s, at most ?"
    assert seconds_cell([1.0, math.inf, math.inf]) == f"more than {startup.LIMIT_S} s"
    assert seconds_cell([None, None]) == ""


def noted(tmp_path: Path, limit_s: int, *command: str) -> dict[str, float]:
    report = tmp_path / "report.json"
    words = [sys.executable, "-S", "-E", whole_run.__file__, str(report), str(limit_s), *command]
    subprocess.run(words, check=True, timeout=60)
    found: dict[str, float] = json.loads(report.read_text())
    return found


def test_a_command_is_measured_with_what_it_starts(tmp_path: Path) -> None:
    large = "b'x' * (100 << 20)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {large!r}]); sys.exit(3)"
    kept = bytearray(b"x" * (300 << 20))  # ours is not counted
    found = noted(tmp_path, 60, sys.executable, "-c", code)
    del kept
    assert found["code"] == 3
    assert 100 < found["memory_mb"] < 200
    assert found["cpu_s"] > 0
    assert found["begin_ns"] < found["end_ns"]


def test_a_command_that_does_not_end_is_killed(tmp_path: Path) -> None:
    assert noted(tmp_path, 1, "sleep", "1000")["code"] == -9
