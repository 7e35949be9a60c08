"""The target works on as it would without the profiler, and only the target is touched."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab import traffic
from lab.instance import Instance
from tests.groundtruth import box
from tests.live.load import storm
from tests.live.outside import changed_code, code_left
from tests.live.running import profile_traffic, started

pytestmark = [pytest.mark.live, pytest.mark.root]


def uptime_s(asterisk: Instance) -> int:
    """Return the seconds since the start that the console tells."""
    text = asterisk.cli("core show uptime seconds")
    match = re.search(r"System uptime: (\d+)", text)
    assert match, text
    return int(match[1])


@pytest.mark.parametrize("kind", ["register", "calls"])
@pytest.mark.parametrize("version", ["16", "22"])
def test_no_call_fails_that_would_not_fail_without(
    request: pytest.FixtureRequest, tmp_path: Path, version: str, kind: str
) -> None:
    asterisk: Instance = request.getfixturevalue({"16": "sip", "22": "pjsip"}[version])
    before = uptime_s(asterisk)
    for _ in range(5):  # where the machine is so busy that calls fail anyway, later
        plain = traffic.run(kind, asterisk, 20, 80)
        _, profiled = profile_traffic(asterisk, tmp_path / "result", kind, 20, seconds=6)
        if plain.complete:
            break
    assert (plain.failed, profiled.failed) == (0, 0)
    assert profiled.complete
    assert uptime_s(asterisk) >= before


def test_it_answers_while_it_is_profiled(sip: Instance, tmp_path: Path) -> None:
    before = uptime_s(sip)
    with (
        storm(sip, "harm", 70, threads=1),
        started(sip.pid, tmp_path / "result", "--budget", "20%", seconds=6) as running,
    ):
        running.wait_recording(0.3)
        answers = []
        while running.process.poll() is None:
            answers.append(uptime_s(sip))
            running.read(0.1)
        result = running.finish()
    assert result.code == 0, result.errors
    assert len(answers) > 1
    assert answers == sorted(answers)
    assert answers[0] >= before


def test_only_the_target_is_trapped(
    sip: Instance, short_lived: Callable[..., Instance], tmp_path: Path
) -> None:
    """Another process of the same binary has the same pages of code in memory."""
    other = short_lived("16")
    assert Path(f"/proc/{other.pid}/exe").samefile(f"/proc/{sip.pid}/exe")
    with (
        storm(sip, "target", 70, threads=1),
        storm(other, "other", 70, threads=1),
        started(sip.pid, tmp_path / "result", "--budget", "50%", seconds=600) as running,
    ):
        running.wait_recording(0.1)
        for _ in range(4):
            running.wait_for(lambda: bool(changed_code(sip.pid)))
            assert changed_code(other.pid) == []
        running.send(signal.SIGINT)
        result = running.finish()
    report = result.profile()
    assert report["target"]["pid"] == sip.pid
    tids = {int(path.name) for path in Path(f"/proc/{other.pid}/task").iterdir()}
    assert not tids & {thread["tid"] for thread in report["threads"]}


def test_counts_of_the_target_are_right_while_it_is_profiled(sip: Instance, tmp_path: Path) -> None:
    """Lookups hit and compare as often as they would without probes."""

    def hits() -> dict[str, Any]:
        with box(sip, "exact", "hash 7 1001") as target:
            return target.run("hit", count=100_100, threads=2)

    with started(sip.pid, tmp_path / "result", "--budget", "50%", seconds=600) as running:
        running.wait_recording(0.3)
        # One takes less time than may pass until the first windows, or between two.
        counted = [hits() for _ in range(10)]
        running.send(signal.SIGINT)
        report = running.finish().profile()
    assert report["stopped_by"] == "interrupt"
    assert sum(container["lookups"]["measured"] for container in report["containers"]) > 0
    plain = hits()
    for key in ("lookups", "hits", "comparisons", "histogram"):
        assert [one[key] for one in counted] == [plain[key]] * 10, key


def test_modules_loaded_meanwhile_are_unwound(sip: Instance, tmp_path: Path) -> None:
    sip.cli("module unload groundtruth.so")
    options = ("-F", "499", "--budget", "20%")
    with started(sip.pid, tmp_path / "result", *options, seconds=8) as running:
        running.wait_recording(1)
        with storm(sip, "late", 70, threads=1):  # loads the module
            running.wait_recording(6)
        sip.cli("module unload groundtruth.so")
        result = running.finish()
    assert result.code == 0, result.errors
    report = result.profile()
    through = [
        (stack, weight)
        for stack, weight in result.folded("cpu.folded")
        if any("groundtruth.so" in frame for frame in stack)
    ]
    whole = sum(weight for stack, weight in through if "start_thread" in stack)
    assert whole > 20
    # Its code was new until the mappings were looked at again.
    assert set(report["stacks"]["by_cause"]) <= {"unknown mapping", "inside a probe"}
    later = [
        s for s in report["containers"] if any(c["file"] == "searches.c" for c in s["call_sites"])
    ]
    assert later


@pytest.mark.parametrize("is_upgraded", [False, True], ids=["namespaces", "upgraded"])
def test_in_namespaces_of_its_own_or_after_its_binary_was_replaced(
    short_lived: Callable[..., Instance], tmp_path: Path, is_upgraded: bool
) -> None:
    asterisk = short_lived("16", namespaces=not is_upgraded)
    if is_upgraded:
        asterisk.upgrade()
    result, sent = profile_traffic(
        asterisk, tmp_path / "result", "register", 30, "-F", "499", seconds=8
    )
    assert sent.complete
    report = result.profile()
    assert report["target"]["pid"] == asterisk.pid
    assert report["target"]["exe"] == "/usr/sbin/asterisk"
    assert report["target"]["version"].startswith("16.28")
    assert report["containers"]
    assert report["stacks"]["samples"] > 20
    frames = {frame for stack, _ in result.folded("cpu.folded") for frame in stack}
    assert {"start_thread", "ast_io_wait"} <= frames
    assert result.has_whole_stacks("stacks")
    assert code_left(asterisk.pid) == []
