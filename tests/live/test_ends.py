"""However a run ends, nothing of it stays behind, and the target works on."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.instance import Instance
from tests.live.load import storm
from tests.live.outside import changed_code, code_left
from tests.live.running import FILES, LIMIT_S, Result, started

pytestmark = [pytest.mark.live, pytest.mark.root]


LONG_S = 600  # no run here lasts so long


@pytest.fixture
def busy(sip: Instance) -> Iterator[Instance]:
    """An Asterisk that looks up all the time, so that windows open and close."""
    with storm(sip, "ends", 7_000, threads=1):
        yield sip


def assert_written(result: Result, code: int = 0) -> None:
    assert result.code == code, result.errors
    assert {path.name for path in result.folder.iterdir()} == set(FILES)


def still_computes(asterisk: Instance) -> None:
    """Every lookup of the ground truth finds what it has to find."""
    asterisk.groundtruth("make check hash 7 700")
    counted = asterisk.groundtruth("run check hit count=997")
    asterisk.groundtruth("free check")
    assert counted["lookups"] == 997
    assert "System uptime" in asterisk.cli("core show uptime")


@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGINT, "interrupt"), (signal.SIGTERM, "termination")]
)
def test_a_signal_ends_early_and_writes_all(
    busy: Instance, tmp_path: Path, number: signal.Signals, reason: str
) -> None:
    with started(busy.pid, tmp_path / "result", seconds=LONG_S) as running:
        running.wait_recording(2, lookups=1)
        running.send(number)
        result = running.finish()
    assert_written(result)
    report = result.profile()
    assert report["stopped_by"] == reason
    assert 1.5 < report["window"]["duration_s"] < LONG_S
    assert report["accounting"]["samples"]["kept"] > 0
    assert report["containers"]
    assert f"Ended early: {reason}" in result.out
    assert ("stopping, Ctrl-C again to abort" in result.errors) == (reason == "interrupt")
    assert code_left(busy.pid) == []
    still_computes(busy)


def test_the_end_of_the_connection_writes_all_too(busy: Instance, tmp_path: Path) -> None:
    """The terminal is gone, and its end is reported twice, by the kernel and by the shell."""
    with started(busy.pid, tmp_path / "result", seconds=LONG_S) as running:
        running.wait_recording(1)
        running.close_terminal()
        running.send(signal.SIGHUP)
        running.send(signal.SIGHUP)
        assert running.process.wait(LIMIT_S) == 0
    assert {path.name for path in (tmp_path / "result").iterdir()} == set(FILES)
    report = json.loads((tmp_path / "result" / "profile.json").read_text())
    assert report["stopped_by"] == "hangup"
    assert code_left(busy.pid) == []


@pytest.mark.parametrize("step", ["looking", "reading call", "finding container lookups"])
def test_an_interrupt_before_the_recording_begins_ends_all(
    busy: Instance, tmp_path: Path, step: str
) -> None:
    place = str(tmp_path / "new" / "result")
    with started(busy.pid, tmp_path / "x", "-o", place, seconds=LONG_S) as running:
        running.wait_for(lambda: f"preparing: {step}" in running.shown)
        running.send(signal.SIGINT)
        result = running.finish()
    assert result.code == 130, result.errors
    assert result.errors.endswith("ebpf-prof: aborted; no probe is left\r\n")
    assert result.out == ""
    assert not list(tmp_path.iterdir())
    assert code_left(busy.pid) == []


def test_a_second_interrupt_aborts(busy: Instance, tmp_path: Path) -> None:
    with started(busy.pid, tmp_path / "result", seconds=LONG_S) as running:
        running.wait_recording(1)
        running.send(signal.SIGINT)
        running.send(signal.SIGINT)
        for _ in range(50):  # the two may have met in one: then the first of these is the second
            if running.process.poll() is not None:
                break
            time.sleep(0.02)
            if running.process.poll() is None:
                running.send(signal.SIGINT)
        result = running.finish()
    assert result.code == 130, result.errors
    assert "ebpf-prof: aborted" in result.errors
    assert "Traceback" not in result.errors
    assert "Exception" not in result.errors
    assert code_left(busy.pid) == []
    still_computes(busy)


def window_is_open(asterisk: Instance) -> bool:
    return bool(changed_code(asterisk.pid))


@pytest.mark.parametrize("moment", ["starting", "recording", "open", "open again"])
def test_killed_it_leaves_nothing(busy: Instance, tmp_path: Path, moment: str) -> None:
    with started(busy.pid, tmp_path / "result", "--budget", "20%", seconds=LONG_S) as running:
        if moment == "starting":
            time.sleep(1)
        elif moment == "recording":
            running.wait_recording(1)
        else:
            running.wait_recording(0.1 if moment == "open" else 2)
            running.wait_for(lambda: window_is_open(busy))
        running.send(signal.SIGKILL)
        running.process.wait(LIMIT_S)
    assert code_left(busy.pid) == []
    still_computes(busy)


def test_the_target_dies_in_the_middle(
    short_lived: Callable[..., Instance], tmp_path: Path
) -> None:
    asterisk = short_lived("16")
    asterisk.groundtruth("make end hash 7 70")
    asterisk.groundtruth("storm end 1 600")
    folder = tmp_path / "result"
    options = (
        "-F",
        "499",
        "--budget",
        "20%",
        "--strict",
    )  # so many samples take the default budget alone
    with started(asterisk.pid, folder, *options, seconds=LONG_S) as running:
        running.wait_recording(3, lookups=1)
        os.kill(asterisk.pid, signal.SIGKILL)
        result = running.finish()
    assert_written(result, 7)
    assert "the target ended before the time was over" in result.errors
    report = result.profile()
    assert report["target"]["exited"] is True
    assert report["stopped_by"] == "target exit"
    assert report["window"]["duration_s"] < LONG_S
    assert "The process ended while it was recorded." in result.out
    # Its files were opened while it lived, so its functions have names.
    frames = {frame for stack, _ in result.folded("cpu.folded") for frame in stack}
    assert {"__ao2_find", "start_thread"} <= frames
    assert report["threads"][0]["samples"] > 0
    assert any(site["file"] for c in report["containers"] for site in c["call_sites"])


def test_the_target_restarts_itself(short_lived: Callable[..., Instance], tmp_path: Path) -> None:
    """`core restart now` calls exec: the same pid runs another image."""
    asterisk = short_lived("16")
    pid = asterisk.pid
    with started(pid, tmp_path / "result", seconds=LONG_S) as running:
        running.wait_recording(2)
        asterisk.cli("core restart now")
        result = running.finish()
    assert_written(result)
    report = result.profile()
    assert report["target"]["exited"] is True
    assert report["stopped_by"] == "target restart"
    assert "The process restarted itself while it was recorded" in result.out
    assert f"ebpf-prof asterisk -p {pid}" in result.out
    assert report["window"]["duration_s"] < LONG_S
    assert asterisk.pid == pid
    assert code_left(pid) == []
