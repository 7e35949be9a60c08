"""What a user does with the profiler, tried once.

A check returns what was seen. It raises Partly where something is missing, and anything else where
the feature is.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lab.instance import Instance
from tests.kernels.place import WHOLE_RATIO, Partly, Place, asterisk
from tests.live.outside import changed_code, code_left, leftovers
from tests.live.running import LIMIT_S, REPOSITORY, Result, profile, run, started

_REGISTERS_HZ = 5.0  # an emulated Asterisk answers some twenty
_STORY_S, _VERIFY_S = 40.0, 20.0
_LOOKUP_FINDINGS = ("long-chain", "full-scan", "container-work")
_LONG_S = 600.0  # no run here lasts so long
_GONE_S = 60.0
_STARTING_S = 300.0
_COMPILING_S = 30.0


def check_doctor(place: Place) -> str:
    """Nothing failed; a warning is something that is missing."""
    result = run(["doctor"], place.folder / "doctor")
    assert result.code == 0, result.out
    warnings = [line for line in result.out.splitlines() if line.startswith("warning")]
    if warnings:
        raise Partly("; ".join(" ".join(line.split()[1:]) for line in warnings))
    return ""


def check_probe_list(place: Place) -> str:
    """Sites are found and shown."""
    pid = str(asterisk("16").pid)
    result = run(["asterisk", "-p", pid, "--list-probes"], place.folder / "probes")
    assert result.code == 0, result.errors
    assert "__ao2_find" in result.out, result.out
    return ""


@contextmanager
def phones(target: Instance) -> Iterator[None]:
    """Let phones register until the block ends."""
    words = ["traffic", "register", "--rate", str(_REGISTERS_HZ), "--count", "100000"]
    # Who is started in the background has interrupts ignored, and so would this.
    command = ["env", "--default-signal=INT", sys.executable, "-m", "lab", *words]
    with subprocess.Popen(
        [*command, "--to", target.name], cwd=REPOSITORY, stdout=subprocess.DEVNULL
    ) as sender:
        try:
            _wait_sending(sender)
            yield
            assert sender.poll() is None, "the traffic ended before the profile"
        finally:
            sender.send_signal(signal.SIGINT)


def _wait_sending(sender: subprocess.Popen[bytes]) -> None:
    """Wait until sipp runs: a guest takes a minute to import what starts it."""
    children = Path(f"/proc/{sender.pid}/task/{sender.pid}/children")
    give_up_s = time.monotonic() + _STARTING_S
    while time.monotonic() < give_up_s:
        assert sender.poll() is None, "the traffic ended at once"
        for child in children.read_text().split():
            with suppress(OSError):  # it has ended
                if Path(f"/proc/{child}/comm").read_text().strip() == "sipp":
                    return
        time.sleep(0.1)
    raise AssertionError("the traffic did not start")


def profiled(target: Instance, folder: Path, *options: str, seconds: float) -> Result:
    """Profile an Asterisk while phones register, from before the profiler starts.

    Before that all programs are compiled and kept: beside load, a guest's CPU takes minutes for it.
    """
    profile(target.pid, folder.with_name(f"{folder.name}-idle"), *options, seconds=_COMPILING_S)
    with phones(target):
        return profile(target.pid, folder, *options, seconds=seconds)


def check_story(place: Place) -> str:
    """The field story in small: of what lookups cost, the first finding is the full container.

    A guest has too little CPU time: that packets or threads wait is true there, and comes first.
    """
    folder, target = place.folder / "story", asterisk("16")
    result = profiled(target, folder, "--budget", "50%", seconds=_STORY_S)
    findings = result.profile()["findings"]
    titles = [found["title"] for found in findings if found["id"] in _LOOKUP_FINDINGS]
    assert titles and titles[0].startswith("taskprocessors"), f"{findings}: {result.out}"
    return ""


def read_profile(place: Place, name: str) -> dict[str, Any]:
    """Return the profile that an earlier feature made."""
    folder = place.folder / name
    assert (folder / "profile.json").exists(), "there is no profile to look at"
    return Result(0, "", "", folder).profile()


def check_whole_stacks(place: Place) -> str:
    """Nearly all stacks of the story lead to the thread's start."""
    return whole(read_profile(place, "story"))


def whole(report: dict[str, Any]) -> str:
    """Return how many stacks of a profile are whole, and how many more could not be."""
    stacks = report["stacks"]
    count, inside = stacks["samples"], stacks["by_cause"].get("inside a probe", 0)
    seen = f"{stacks['whole']} of {count}" + (f", {inside} inside a probe" if inside else "")
    assert count > 0, "no samples"
    assert stacks["whole"] + inside >= WHOLE_RATIO * count, f"{seen}: {stacks['by_cause']}"
    return seen


def check_verify(place: Place) -> str:
    """Each count agrees with the steps of the traversal, each of which is trapped."""
    return verified(asterisk("16"), place.folder / "verified")


def verified(target: Instance, folder: Path) -> str:
    """Profile with --verify, and return how many counts were checked."""
    result = profiled(target, folder, "--verify", "--budget", "off", seconds=_VERIFY_S)
    counts = [container["lookups"] for container in result.profile()["containers"]]
    wrong = sum(count["contradicted"] + count["steps_disagreed"] for count in counts)
    agreed = sum(count["steps_agreed"] for count in counts)
    assert wrong == 0, f"{wrong} contradicted, {agreed} agreed"
    assert agreed > 0, "no lookup was checked"
    return f"{agreed} of {agreed}"


def check_new_version(place: Place) -> str:
    """Asterisk 22 is profiled, and each of its counts checked."""
    return verified(asterisk("22"), place.folder / "new")


def check_new_stacks(place: Place) -> str:
    """Nearly all stacks of Asterisk 22 lead to the thread's start."""
    return whole(read_profile(place, "new"))


def check_killed(place: Place) -> str:
    """Killed in the middle it leaves no program, and no changed code in the target."""
    target = asterisk("16")
    options = ("--budget", "20%")
    with started(target.pid, place.folder / "killed", *options, seconds=_LONG_S) as running:
        running.wait_recording(1)
        running.send(signal.SIGKILL)
        running.process.wait(LIMIT_S)
    code_left(target.pid, _GONE_S)
    return check_nothing_left(place)


def check_nothing_left(place: Place) -> str:
    """No program, map or link is left, and both Asterisks have their code and answer."""
    left = {kind: ids for kind, ids in leftovers(place.before).items() if ids}
    assert not left, f"left: {left}"
    for version in ("16", "22"):
        target = asterisk(version)
        changed = changed_code(target.pid)
        assert not changed, f"Asterisk {version} has changed code at {changed[:3]}"
        assert "System uptime" in target.cli("core show uptime")
    return ""
