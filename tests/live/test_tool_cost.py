"""What the tool itself takes: CPU time around the recording, and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from resource import struct_rusage

import pytest

from lab.instance import Instance
from tests.live.running import command, environment

pytestmark = [pytest.mark.live, pytest.mark.root, pytest.mark.timed]

LIBRARIES = "import bcc, click, pyroute2, rich.console"
# Before and after the recording, with the tables of unwinding in the cache. A limit in seconds
# would fail where the machine is slow for a while; all of this takes 2.4 s where it is not.
MOST_CPU_OF_LIBRARIES = 20
MOST_MEMORY_BYTES = 300 << 20


def usage_of(words: list[str], folder: Path) -> struct_rusage:
    """Run a command that must not fail, and return what it used."""
    process = subprocess.Popen(words, cwd=folder, env=environment())
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage


def cpu_s(usage: struct_rusage) -> float:
    return usage.ru_utime + usage.ru_stime


@pytest.mark.parametrize("name", ["story", "pjsip"])
def test_it_starts_and_ends_soon_in_little_memory(
    request: pytest.FixtureRequest, tmp_path: Path, name: str
) -> None:
    asterisk: Instance = request.getfixturevalue(name)
    words = ["asterisk", "-p", str(asterisk.pid), "-d", "1s", "-q", "-o", str(tmp_path / "r")]
    libraries, tool = [], []
    for _ in range(3):
        libraries.append(usage_of([sys.executable, "-c", LIBRARIES], tmp_path))
        tool.append(usage_of(command(*words), tmp_path))
    least = min(map(cpu_s, tool[1:])) / min(map(cpu_s, libraries))
    assert least < MOST_CPU_OF_LIBRARIES
    assert max(usage.ru_maxrss << 10 for usage in tool) < MOST_MEMORY_BYTES
