"""Scenes of threads that wait stand as they are told, and end, so that they can be trusted."""

import time
from contextlib import suppress
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.instance import Instance
from tests.waiting import scene

pytestmark = pytest.mark.live
FUTEX = 202  # __NR_futex in asm/unistd_64.h


def system_call(asterisk: Instance, tid: int) -> tuple[int, int]:
    """Return the number of the system call that a thread is in, and its first argument."""
    words = Path(f"/proc/{asterisk.pid}/task/{tid}/syscall").read_text().split()
    return int(words[0]), int(words[1], 16)


@pytest.mark.parametrize(
    ("words", "threads", "waiting"),
    [
        ("hold threads=3", 4, 3),
        ("hold threads=3 lock=object times=3 rest=sleep", 4, 3),
        ("hold threads=2 lock=rwlock rest=poll", 3, 2),
        ("readers threads=3 lock=rwlock rest=read", 4, 3),
        ("readers threads=2 lock=object-rwlock rest=timed-condition", 3, 2),
        ("writer threads=3 lock=rwlock", 4, 1),
        ("chain threads=5 lock=mixed rest=spin", 5, 4),
        ("cycle threads=3 lock=object behind=4", 7, 7),
        ("cycles behind=2", 14, 14),
        ("idle", 5, 0),
    ],
)
def test_who_waits_does_so_inside_its_lock(
    asterisk: Instance, words: str, threads: int, waiting: int
) -> None:
    with scene(asterisk, words) as made:
        assert len(made.actors) == threads
        assert len(made.edges) == waiting
        for tid, lock, _ in made.edges:
            number, address = system_call(asterisk, tid)
            assert number == FUTEX
            assert lock <= address < lock + 56  # sizeof(pthread_rwlock_t), the larger one
    assert not made.tids & tids(asterisk)


def tids(asterisk: Instance) -> set[int]:
    return {int(path.name) for path in Path(f"/proc/{asterisk.pid}/task").iterdir()}


def test_a_circle_closes_and_is_resolved_at_will(asterisk: Instance) -> None:
    with scene(asterisk, "cycles") as made:
        assert sorted(map(len, made.circles())) == [2, 3, 7]
    assert asterisk.cli("core show uptime").startswith("System uptime")


def names(asterisk: Instance) -> set[str]:
    found = set()
    for tid in tids(asterisk):
        with suppress(FileNotFoundError):  # it has ended meanwhile
            found.add(Path(f"/proc/{asterisk.pid}/task/{tid}/comm").read_text().strip())
    return found


def test_a_circle_is_resolved_by_its_timed_lock(asterisk: Instance) -> None:
    asterisk.groundtruth("wait cycle threads=2 seconds=1")
    deadline = time.monotonic() + 60
    while "gt-waits" in names(asterisk):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert asterisk.groundtruth("wait end") == {"ended": 2, "timed_out": 1}


def test_there_is_one_scene_at_a_time(asterisk: Instance) -> None:
    with scene(asterisk, "idle"), pytest.raises(LabError, match="already"):
        asterisk.groundtruth("wait hold")


@pytest.mark.parametrize(
    "words", ["nonsense", "hold threads=99", "cycle lock=rwlock", "readers lock=mutex", "hold x=1"]
)
def test_what_cannot_be_made_is_refused(asterisk: Instance, words: str) -> None:
    with pytest.raises(LabError, match="no such scene"):
        asterisk.groundtruth(f"wait {words}")
