"""What changes in the target while it is recorded: containers that come and go at one address."""

from __future__ import annotations

import signal
from collections import Counter
from pathlib import Path

import pytest

from lab.instance import Instance
from tests.live.load import storm
from tests.live.running import started

pytestmark = [pytest.mark.live, pytest.mark.root]

LONG_S = 600  # no run here lasts so long
SIZES = (1, 30, 2_000, 200, 5_000)
LISTS = 80


def short_lists(asterisk: Instance) -> Counter[int]:
    """Make lists that are searched and freed at once; return how many were at each address."""
    made: Counter[int] = Counter()
    for number in range(LISTS):
        list_made = asterisk.groundtruth(f"make short list 1 {SIZES[number % len(SIZES)]}")
        made[int(list_made["address"], 16)] += 1
        asterisk.groundtruth("run short hit count=500")
        asterisk.groundtruth("free short")
    return made


def test_lists_at_one_address_have_not_grown(asterisk: Instance, tmp_path: Path) -> None:
    with (
        storm(asterisk, "stays", 700, threads=1),
        started(asterisk.pid, tmp_path / "result", "--budget", "20%", seconds=LONG_S) as running,
    ):
        running.wait_recording(1, lookups=1)
        made = short_lists(asterisk)
        running.send(signal.SIGINT)
        result = running.finish()
    report = result.profile()
    assert max(made.values()) > 1
    short = [found for found in report["containers"] if found["address"] in made]
    assert short
    assert {found["elements_start"] for found in short} == {None}
    assert "growth" not in {finding["id"] for finding in report["findings"]}
    (stays,) = (found for found in report["containers"] if found["elements_start"] == 700)
    assert stays["elements_end"] == 700
