from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from profiler.linux import priority

REPOSITORY = Path(__file__).parents[3]
PRELUDE = """
import os, signal, sys, threading, time
from pathlib import Path
from profiler.linux import priority

def state():
    return os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)

def waited(times):  # so many times as long as it ran
    path = Path(sys.argv[1])
    path.write_text(f"1000 {1000 * times} 3")
    priority._SCHEDSTAT = str(path)
"""
ORDINARY, REALTIME = (os.SCHED_OTHER, -20), (os.SCHED_RR, -20)


def said(tmp_path: Path, code: str) -> list[tuple[int, int]]:
    """Run code in a process of its own, whose priority may change, and return what it printed."""
    command = [sys.executable, "-c", PRELUDE + code, str(tmp_path / "schedstat")]
    result = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    words = (line.split() for line in result.stdout.splitlines())
    return [(int(policy), int(nice)) for policy, nice in words]


@pytest.mark.root
@pytest.mark.parametrize(("times", "found"), [(20, ORDINARY), (21, REALTIME)])
def test_all_of_it_runs_first_and_in_realtime_where_it_waits(
    tmp_path: Path, times: int, found: tuple[int, int]
) -> None:
    code = f"""
waited({times})
priority.raise_priority()
print(*state())
with priority.WithoutRealtime():
    print(*state())
print(*state())
"""
    assert said(tmp_path, code) == [found, ORDINARY, found]


@pytest.mark.root
@pytest.mark.parametrize(("times", "found"), [(1, ORDINARY), (50, REALTIME)])
def test_children_and_threads_inherit_it(
    tmp_path: Path, times: int, found: tuple[int, int]
) -> None:
    code = f"""
waited({times})
priority.raise_priority()
thread = threading.Thread(target=lambda: print(*state(), flush=True))
thread.start()
thread.join()
if not os.fork():
    print(*state(), flush=True)
    os._exit(0)
os.wait()
"""
    assert said(tmp_path, code) == [found, found]


@pytest.mark.root
def test_who_may_not_runs_as_before(tmp_path: Path) -> None:
    code = """
waited(50)
os.setuid(65534)
priority.raise_priority()
print(*state())
with priority.WithoutRealtime():
    print(*state())
assert priority.is_refused()
"""
    assert said(tmp_path, code) == [(os.SCHED_OTHER, 0)] * 2


@pytest.mark.root
def test_a_lower_priority_that_somebody_gave_it_stays(tmp_path: Path) -> None:
    code = """
waited(50)
os.nice(3)
priority.raise_priority()
print(*state())
assert not priority.is_refused()
"""
    assert said(tmp_path, code) == [(os.SCHED_OTHER, 3)]


@pytest.mark.root
def test_who_is_started_in_realtime_records_without(tmp_path: Path) -> None:
    code = """
waited(0)
os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
priority.raise_priority()
print(*state())
with priority.WithoutRealtime():
    print(*state())
print(*state())
"""
    assert said(tmp_path, code) == [REALTIME, ORDINARY, REALTIME]


@pytest.mark.root
def test_who_hangs_in_realtime_does_not_stay_there(tmp_path: Path) -> None:
    code = """
waited(50)
priority._INTERRUPTED_US = 50_000
priority.raise_priority()
print(*state())
while os.sched_getscheduler(0) == os.SCHED_RR and time.process_time() < 30:
    pass
print(*state())
with priority.WithoutRealtime():
    pass
print(*state())
"""
    assert said(tmp_path, code) == [REALTIME, ORDINARY, ORDINARY]


@pytest.mark.root
def test_the_compiler_may_take_longer_than_we_may_hang(tmp_path: Path) -> None:
    code = """
from profiler import disk_cache
from profiler.linux.bcc import compile_programs

disk_cache.switch_off()
waited(50)
priority._INTERRUPTED_US = 50_000
priority.raise_priority()
compile_programs(("cpu.bpf.c",), {"WALK_ITERATOR": 0})
print(*state())
"""
    assert len(said(tmp_path, code)) == 1


@pytest.mark.parametrize("text", [None, "", "0 0 0", "1 2"])
def test_a_kernel_that_does_not_say_how_long_we_waited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    path = tmp_path / "schedstat"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(priority, "_SCHEDSTAT", str(path))
    assert priority._waited_ratio() == 0
