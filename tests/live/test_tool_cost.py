"""What the tool itself takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from lab.instance import Instance
from tests.live.running import LIMIT_S, command, environment

pytestmark = [pytest.mark.live, pytest.mark.root]

MOST_MEMORY_BYTES = 300 << 20
# A process counts as large as the one that it was forked from: this one is small.
_MEASURE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10)
"""


@pytest.mark.parametrize("name", ["story", "pjsip"])
def test_it_takes_little_memory(request: pytest.FixtureRequest, tmp_path: Path, name: str) -> None:
    asterisk: Instance = request.getfixturevalue(name)
    words = ["asterisk", "-p", str(asterisk.pid), "-d", "1s", "-q", "-o", str(tmp_path / "r")]
    measured = subprocess.run(
        [sys.executable, "-c", _MEASURE, *command(*words)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
    )
    code, most_bytes = map(int, measured.stdout.split()[-2:])  # behind the folder's name
    assert code == 0, measured.stderr
    assert 50 << 20 < most_bytes < MOST_MEMORY_BYTES
