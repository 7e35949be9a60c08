"""CPU time of threads and numbers of samples, against what /proc says at the same time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.instance import Instance
from tests.live.load import storm
from tests.live.outside import CpuWatch
from tests.live.running import profile, profile_traffic, started

pytestmark = [pytest.mark.live, pytest.mark.root, pytest.mark.timed]

FREQUENCY_HZ = 499
SECONDS = 12
_SWITCH_S = 20e-6


@pytest.fixture(scope="module")
def watched(
    sip: Instance, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], CpuWatch]:
    """A busy process, profiled and watched at once."""
    watch = CpuWatch(sip.pid)
    folder = tmp_path_factory.mktemp("cpu") / "result"
    with storm(sip, "cpu", 70, threads=2), watch.running():
        # Without a budget threads are sampled by their own clocks, however often they switch.
        options = ("-F", str(FREQUENCY_HZ), "--cpu-only", "--budget", "off")
        result = profile(sip.pid, folder, *options, seconds=SECONDS)
    return result.profile(), watch


def test_each_thread_used_what_proc_says(watched: tuple[dict[str, Any], CpuWatch]) -> None:
    report, watch = watched
    start, end = report["window"]["start_ns"], report["window"]["end_ns"]
    by_tid = {thread["tid"]: thread["cpu_ratio"] for thread in report["threads"]}
    assert len(by_tid) > 20
    for tid in watch.threads:  # some of them lived only before or after the window
        expected = watch.thread_ns(tid, start, end) / (end - start)
        found = by_tid.get(tid, 0.0)
        assert abs(found - expected) < 0.02, (tid, found, expected)


def test_all_threads_together_used_what_proc_says(
    watched: tuple[dict[str, Any], CpuWatch],
) -> None:
    report, watch = watched
    start, end = report["window"]["start_ns"], report["window"]["end_ns"]
    total = sum(thread["cpu_ratio"] for thread in report["threads"])
    assert total > 0.2
    assert abs(total - watch.process_ns(start, end) / (end - start)) < 0.02


def test_samples_are_frequency_times_cpu_time(watched: tuple[dict[str, Any], CpuWatch]) -> None:
    report, watch = watched
    start, end = report["window"]["start_ns"], report["window"]["end_ns"]
    busy = [thread for thread in report["threads"] if thread["cpu_ratio"] > 0.1]
    assert len(busy) == 2
    for thread in busy:
        expected = FREQUENCY_HZ * watch.thread_ns(thread["tid"], start, end) / 1e9
        # A timer that is stopped and started again at each switch loses some microseconds.
        lost = FREQUENCY_HZ * _SWITCH_S * watch.switches(thread["tid"], start, end)
        assert -0.01 * expected - 1 - lost < thread["samples"] - expected < 0.01 * expected + 1
    used_s = sum(watch.thread_ns(tid, start, end) for tid in watch.threads) / 1e9
    fired = report["accounting"]["samples"]["fired"]
    lost = FREQUENCY_HZ * _SWITCH_S * sum(watch.switches(tid, start, end) for tid in watch.threads)
    expected = FREQUENCY_HZ * used_s
    room = 0.01 * expected + len(report["threads"])
    assert -room - lost < fired - expected < room


def test_threads_born_meanwhile_are_sampled(sip: Instance, tmp_path: Path) -> None:
    before = set(Path(f"/proc/{sip.pid}/task").iterdir())
    known = {int(path.name) for path in before}
    options = ("-F", "999", "--cpu-only", "--budget", "off")
    result, sent = profile_traffic(sip, tmp_path / "result", "calls", 25, *options, seconds=8)
    assert sent.complete
    report = result.profile()
    born = [thread for thread in report["threads"] if thread["tid"] not in known]
    assert len(born) > 20
    expected = 999 * sum(t["cpu_ratio"] for t in born) * report["window"]["duration_s"]
    found = sum(thread["samples"] for thread in born)
    assert expected > 50
    # A thread's first sample comes after one whole interval, so each misses half a one on average;
    # and it uses some 100 us without an event: as it begins, as it is switched to, and as it ends.
    assert expected - (0.5 + 999 * 100e-6) * len(born) - 10 < found < 1.05 * expected + 10


def test_a_thread_born_meanwhile_counts_from_its_first_moment(
    sip: Instance, tmp_path: Path
) -> None:
    folder = tmp_path / "result"
    options = ("-F", str(FREQUENCY_HZ), "--cpu-only", "--budget", "off")
    with started(sip.pid, folder, *options, seconds=8) as running:
        running.wait_recording(0.5)
        known = {int(path.name) for path in Path(f"/proc/{sip.pid}/task").iterdir()}
        with storm(sip, "cpu", 70, threads=1):
            result = running.finish()
    report = result.profile()
    thread = next(t for t in report["threads"] if t["tid"] not in known and t["cpu_ratio"] > 0.05)
    expected = FREQUENCY_HZ * thread["cpu_ratio"] * report["window"]["duration_s"]
    assert abs(thread["samples"] - expected) < 0.01 * expected + 1


def test_threads_that_switch_all_the_time_are_sampled_by_cpu(sip: Instance, tmp_path: Path) -> None:
    """Eight threads fight for one lock: an event on each would cost more than the budget."""
    watch = CpuWatch(sip.pid)
    with storm(sip, "fight", 70, threads=8), watch.running():
        result = profile(sip.pid, tmp_path / "result", "-F", "499", "--cpu-only", seconds=8)
    report = result.profile()
    start, end = report["window"]["start_ns"], report["window"]["end_ns"]
    switches = sum(watch.switches(tid, start, end) for tid in watch.threads)
    assert switches > 10_000
    assert any(
        warning.startswith("samples are taken on each CPU") for warning in report["warnings"]
    )
    fired = report["accounting"]["samples"]["fired"]
    expected = 499 * watch.process_ns(start, end) / 1e9
    assert expected > 2_000
    # Timers wait while interrupts are off: at 100,000 switches a second a tenth of the time is seen
    # as that of who comes next, or of nobody.
    room = 4 * expected**0.5
    assert 0.85 * expected - room < fired < expected + room
    assert fired == sum(thread["samples"] for thread in report["threads"])
    for thread in report["threads"]:
        expected = 499 * watch.thread_ns(thread["tid"], start, end) / 1e9
        room = 4 * expected**0.5 + 4
        assert 0.85 * expected - room < thread["samples"] < 1.15 * expected + room
    # Some 10 us for each sample; no switch is charged, which would be 3 us for each.
    assert 0 < report["cost"]["sampling_ratio"] < 0.03
    assert 3e-6 * switches > 0.06 * (end - start) / 1e9
