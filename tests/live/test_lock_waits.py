"""A run says who waited for which lock, for how long, and who had it: against threads that know."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from lab.instance import Instance
from profiler.files.recording_file import read_recording
from profiler.model.quantities import Window
from tests import contention
from tests.live.running import Result, started
from tests.waiting import scene

pytestmark = pytest.mark.live
_NEAR = 0.05  # of the true time; windows have ends


def waits(result: Result) -> dict[str, Any]:
    """Return what the profile says of waits, when its accounts are right."""
    assert result.code == 0, result.errors
    value: dict[str, Any] = result.profile()["off_cpu"]
    events = value["accounting"]
    parts = ("kept", "filtered", "lost", "collided", "truncated")
    assert events["fired"] == sum(events[part] for part in parts)
    return value


def unseen(result: Result, scene: Window) -> tuple[int, int]:
    """Return for how long no window was open in a scene, and how often."""
    found = read_recording(result.folder / "recording").off_cpu
    assert found is not None
    parts = [
        min(window.end_ns, scene.end_ns) - max(window.start_ns, scene.start_ns)
        for window in found.windows
    ]
    open_ns = [part for part in parts if part > 0]
    return scene.duration_ns - sum(open_ns), len(open_ns) + 1


def ids(result: Result) -> list[str]:
    return [finding["id"] for finding in result.profile()["findings"]]


@pytest.mark.parametrize("box", ["", "box=fought"])
def test_a_contended_lock_has_its_true_waits_waiters_and_holders(
    asterisk: Instance, tmp_path: Path, box: str
) -> None:
    if box:
        asterisk.groundtruth("make fought hash 7 10")
    with started(asterisk.pid, tmp_path / "result", "--budget", "off", seconds=300) as running:
        running.wait_recording(2.0)
        began_ns = time.monotonic_ns()
        contention.start(asterisk, f"threads=6 turns=30 hold=15000 pause=5000 {box}")
        truth = contention.end(asterisk)
        during = Window(began_ns, time.monotonic_ns())
        running.send(signal.SIGINT)
        result = running.finish()
    if box:
        asterisk.groundtruth("free fought")
    found = waits(result)
    lock = next(one for one in found["locks"] if one["address"] == truth.lock)
    assert set(lock["tids"]) == set(truth.tids)
    in_windows, lost = found["covered_ratio"], found["accounting"]["lost"]
    unseen_ns, gaps = unseen(result, during)
    # Who has it keeps it for 15 ms; five wait meanwhile, and as many at both ends of a gap.
    missed = lost + unseen_ns / 15e6 + 5 * gaps
    assert truth.waits - missed <= round(lock["count"] * in_windows) <= truth.waits
    seen_ns = lock["time_ns"] * in_windows
    assert (1 - _NEAR) * truth.total_ns - 5 * unseen_ns <= seen_ns <= (1 + _NEAR) * truth.total_ns
    assert 15_000_000 <= lock["max_ns"] <= (1 + _NEAR) * truth.longest_ns
    (site,), (holder,) = lock["call_sites"], lock["holders"]
    assert site["role"].startswith(truth.role) and site["path"][-1] == truth.waits_in
    assert holder["role"].startswith(truth.role) and holder["path"][-1] == truth.held_in
    assert lock["label"].startswith("container of" if box else "groundtruth.so: plain_lock")
    assert "lock-contention" in ids(result)


def test_a_thread_that_keeps_others_waiting_is_named(asterisk: Instance, tmp_path: Path) -> None:
    with (
        scene(asterisk, "hold threads=3 lock=object rest=sleep") as made,
        started(asterisk.pid, tmp_path / "result", seconds=8) as running,
    ):
        result = running.finish()
    found = waits(result)
    assert ids(result).count("stuck-thread") == 1
    (holder,) = [one.tid for one in made.actors if one.wants is None]
    waiting = {
        one["tid"]: one["holder_tid"] for one in found["long_waits"] if one["lock"] is not None
    }
    assert waiting == {one.tid: holder for one in made.actors if one.wants is not None}


def test_a_circle_is_a_deadlock(asterisk: Instance, tmp_path: Path) -> None:
    with (
        scene(asterisk, "cycle threads=3 lock=mixed behind=2") as made,
        started(asterisk.pid, tmp_path / "result", seconds=5) as running,
    ):
        result = running.finish()
    (finding,) = [one for one in result.profile()["findings"] if one["id"] == "deadlock"]
    assert finding["title"].startswith("deadlock: 3 threads wait for each other")
    assert finding["title"].endswith("2 more behind them")
    assert {one["tid"] for one in waits(result)["long_waits"]} >= made.tids


def test_threads_that_wait_for_work_are_no_trouble(asterisk: Instance, tmp_path: Path) -> None:
    with (
        scene(asterisk, "idle"),
        started(asterisk.pid, tmp_path / "result", seconds=8) as running,
    ):
        result = running.finish()
    found = waits(result)
    assert not {"lock-contention", "stuck-thread", "deadlock"} & set(ids(result))
    idle = {one["kind"] for one in found["stacks"] if "_here" in str(one["path"])}
    assert idle <= {"condition", "sleep", "network", "pipe"}
