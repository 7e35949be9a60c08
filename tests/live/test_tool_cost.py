"""What the tool itself takes: CPU time around the recording, and memory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab.instance import Instance
from tests.live.running import command, environment

pytestmark = [pytest.mark.live, pytest.mark.root, pytest.mark.timed]

MOST_CPU_S = 4.0  # before and after the recording, with the tables of unwinding in the cache
MOST_MEMORY_BYTES = 300 << 20


@pytest.mark.parametrize("name", ["story", "pjsip"])
def test_it_starts_and_ends_soon_in_little_memory(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    asterisk: Instance = request.getfixturevalue(name)
    words = ["asterisk", "-p", str(asterisk.pid), "-d", "1s", "-q", "-o", str(tmp_path / "r")]
    used = []
    for _ in range(2):
        tool = subprocess.Popen(command(*words), cwd=tmp_path, env=environment())
        _, status, usage = os.wait4(tool.pid, 0)
        tool.returncode = os.waitstatus_to_exitcode(status)
        assert tool.returncode == 0
        used.append(usage)
    warm = used[-1]
    assert warm.ru_utime + warm.ru_stime < MOST_CPU_S
    assert warm.ru_maxrss << 10 < MOST_MEMORY_BYTES
