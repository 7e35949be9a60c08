"""At which priority the tool runs, and that nothing else does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.instance import Instance
from profiler.files.leaks_file import read_leaks
from profiler.linux.priority import HIGHEST, NOT_RAISED
from profiler.process.procfs import parse_stat, read_pids, read_text, read_tids
from tests.live.running import command, finished, started

pytestmark = [pytest.mark.live, pytest.mark.root]

WITHOUT_NICE = ("setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice")


def scheduled(pid: int) -> set[tuple[int, int]]:
    """Return policy and nice value of all threads of a process."""
    tids = read_tids(pid)
    return {(os.sched_getscheduler(tid), os.getpriority(os.PRIO_PROCESS, tid)) for tid in tids}


def keepers(pid: int) -> list[int]:
    """Return who holds the probes of a run: on lookups, and on tasks."""
    found = []
    for other in read_pids():
        try:
            stat = parse_stat(read_text(Path(f"/proc/{other}/stat")))
            if stat.parent_pid == pid and stat.name == "probe-keeper":
                found.append(other)
        except OSError:  # it ended
            continue
    return found


def test_the_tool_and_its_keeper_run_first_and_the_target_as_before(
    sip: Instance, tmp_path: Path
) -> None:
    before = scheduled(sip.pid)
    with started(sip.pid, tmp_path / "result", seconds=3) as running:
        running.wait_recording(1)
        # Realtime priority comes and goes with windows; the nice value stays.
        assert {nice for _, nice in scheduled(running.process.pid)} == {HIGHEST}
        found = keepers(running.process.pid)
        assert found
        assert {nice for pid in found for _, nice in scheduled(pid)} == {HIGHEST}
        assert scheduled(sip.pid) == before
        assert running.finish().code == 0
    assert scheduled(sip.pid) == before


def test_it_says_so_where_it_may_not(sip: Instance, tmp_path: Path) -> None:
    words = command("asterisk", "-p", str(sip.pid), "-d", "1s", "-o", str(tmp_path / "result"))
    result = finished([*WITHOUT_NICE, *words], tmp_path / "result")
    assert result.code == 0, result.errors
    assert NOT_RAISED in result.profile()["warnings"]


def test_leaks_says_so_where_it_may_not(sip: Instance, tmp_path: Path) -> None:
    file = tmp_path / "run.leaks"
    words = command("leaks", "-p", str(sip.pid), "-d", "1s", "-o", str(file))
    result = finished([*WITHOUT_NICE, *words], file)
    assert result.code == 0, result.errors
    assert NOT_RAISED in read_leaks(file).warnings
