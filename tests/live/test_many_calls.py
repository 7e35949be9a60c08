"""A PBX with hundreds of calls up: every call has threads of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import instance
from lab.instance import Instance, Options
from tests.live.load import meanwhile
from tests.live.outside import CpuWatch
from tests.live.running import profile

pytestmark = [pytest.mark.live, pytest.mark.root]

CALLS = 550
CHANNELS = 2 * CALLS  # a call between two ends of the Local channel driver


@pytest.fixture(scope="module")
def busy() -> Iterator[Instance]:
    """16 as packaged, with calls that wait."""
    with instance.start(Options("16", f"live{os.getpid()}-calls")) as asterisk:
        asterisk.cli("module load res_clioriginate.so")
        asterisk.cli("dialplan add extension 1,1,Answer, into waiting")
        asterisk.cli("dialplan add extension 1,2,Wait,600 into waiting")
        for _ in range(CALLS):
            asterisk.cli("channel originate Local/1@waiting application Wait 600")
        assert f"{CHANNELS} active channels" in asterisk.cli("core show channels count")
        yield asterisk


def test_hundreds_of_calls_are_profiled_as_one_group(busy: Instance, tmp_path: Path) -> None:
    def list_channels() -> None:
        busy.cli("core show channels concise")  # on a connection and a thread of its own

    watch = CpuWatch(busy.pid, with_threads=False)
    with meanwhile(list_channels), watch.running():
        result = profile(busy.pid, tmp_path / "result", "--full", seconds=10)
    found = result.profile()
    assert sum(thread["count"] for thread in found["threads"]) > CHANNELS
    assert found["stacks"]["samples"] > 50
    assert result.has_whole_stacks("stacks")

    (cache,) = (use for use in found["containers"] if use["elements_end"] == CHANNELS)
    (dump,) = (s for s in cache["call_sites"] if s["function"] == "stasis_cache_dump_by_eid")
    assert dump["search"] == "scan"
    assert dump["comparisons"]["p50"] == dump["comparisons"]["max"] == CHANNELS
    burning = [finding["id"] for finding in found["findings"] if finding["severity"] == "cpu"]
    assert burning[:1] == ["full-scan"]

    # Most of it was used by threads that ended within milliseconds.
    window = found["window"]
    cpu_s = sum(thread["cpu_ratio"] for thread in found["threads"]) * window["duration_s"]
    used_ns = watch.process_ns(window["start_ns"], window["end_ns"])
    assert cpu_s == pytest.approx(used_ns / 1e9, rel=0.1)
    expected = found["frequency_hz"] * cpu_s
    assert found["accounting"]["samples"]["fired"] > expected / 2

    lanes = {stack[0] for stack, _ in result.folded("cpu.folded")}
    assert len(lanes) < 40
    assert any(lane.endswith(" threads)") for lane in lanes)
    assert "×N: threads that run the same" in result.out
