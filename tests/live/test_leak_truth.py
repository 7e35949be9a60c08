"""`ebpf-prof leaks` names who leaks: in the lab's module, and in a real Asterisk that forgets."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from lab import instance, traffic
from lab.instance import Instance, Options
from tests.live import load, running

pytestmark = pytest.mark.live
# Survivors are not accused before they are 30 s old.
SECONDS = 45


def leaks(asterisk: Instance) -> dict[str, Any]:
    done = subprocess.run(
        running.command("leaks", "-q", "--json", "-p", str(asterisk.pid), "-d", f"{SECONDS}s"),
        env=running.environment(),
        cwd=running.REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS + running.LIMIT_S,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["followed"] == found["freed"] + found["alive"] + found["lost"]
    return found


def test_the_line_is_named_that_forgets(asterisk: Instance) -> None:
    asterisk.groundtruth("objects start site=attach percent=50 rate=20 storm=50")
    try:
        suspects = leaks(asterisk)["suspects"]
    finally:
        truth = asterisk.groundtruth("objects free")
    taken, given = ("{file}:{line} {function}".format(**truth[name]) for name in ("taken", "given"))
    assert [one["summary"]["name"] for one in suspects] == ["leaky_destroy"]
    assert suspects[0]["taken_at"] == [taken]
    assert [one["site"] for one in suspects[0]["given_back_at"]] == [given]


def forgotten_peer() -> dict[str, Any]:
    """Return the one suspect that nothing holds, in an Asterisk that forgets peers."""
    forgetful = Options("16", "live-forgets", forgets=True)
    with (
        instance.start(forgetful) as asterisk,
        load.meanwhile(lambda: traffic.run("register", asterisk, rate=25, count=250)),
    ):
        suspects: list[dict[str, Any]] = leaks(asterisk)["suspects"]
    (peer,) = (one for one in suspects if one["held_by"] is None)
    return peer


def test_a_peer_that_a_register_forgets_is_named_with_what_it_holds() -> None:
    # On a busy machine what these peers hold may not be followed in one time. Each begins with a
    # new Asterisk: in one that has forgotten many already, fewer are born in the same time.
    for _ in range(3):
        peer = forgotten_peer()
        assert peer["summary"]["allocated_at"].split()[1] == "build_peer"
        assert "register_verify" in " ".join(peer["stack"])
        receiver = peer["receiver"]
        assert receiver is None or receiver["name"].endswith("register_verify")
        names = " ".join(one["name"] for one in peer["holds"])
        if "tps_taskprocessor" in names:
            break
    assert "tps_taskprocessor" in names
