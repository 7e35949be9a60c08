"""What the tool itself takes."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lab.instance import Instance
from tests.live.running import command, environment

pytestmark = [pytest.mark.live, pytest.mark.root]

MOST_MEMORY_BYTES = 300 << 20


@pytest.mark.parametrize("name", ["story", "pjsip"])
def test_it_takes_little_memory(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    asterisk: Instance = request.getfixturevalue(name)
    words = ["asterisk", "-p", str(asterisk.pid), "-d", "1s", "-q", "-o", str(tmp_path / "r")]
    process = subprocess.Popen(command(*words), cwd=tmp_path, env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert usage.ru_maxrss << 10 < MOST_MEMORY_BYTES
