"""However `ebpf-prof leaks` ends or is refused: nothing of it stays, and it is said why."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from lab.instance import Instance
from profiler.files.leaks_file import read_leaks
from tests.live.following import busy, check, followed
from tests.live.outside import changed_code, code_left
from tests.live.running import LIMIT_S, Started, finished, run, run_as_nobody, started
from tests.live.running import command as words_of

pytestmark = [pytest.mark.live, pytest.mark.root]

LONG_S = 600  # no run here lasts so long


@pytest.fixture
def used(sip: Instance) -> Iterator[Instance]:
    """An Asterisk in which objects are born and freed all the time."""
    with busy(sip, "make {} list 1 20", "run {} hit count=20", "free {}"):
        yield sip


def following(asterisk: Instance, file: Path) -> AbstractContextManager[Started]:
    return started(asterisk.pid, file, "--budget", "20%", seconds=LONG_S, name="leaks")


def wait_for_objects(running: Started) -> None:
    running.wait_for(lambda: re.search(r" [1-9]\d* objects", running.shown) is not None)


def test_an_interrupt_ends_early_and_shows_and_writes_all(used: Instance, tmp_path: Path) -> None:
    file = tmp_path / "run.leaks"
    with following(used, file) as running:
        wait_for_objects(running)
        running.send(signal.SIGINT)
        result = running.finish()
    assert result.code == 0, result.errors
    assert "ended early: interrupt" in result.out
    recording = read_leaks(file)
    assert recording.stopped_by == "interrupt"
    check(recording)
    assert code_left(used.pid) == []


def test_killed_while_probes_are_open_it_leaves_none(used: Instance, tmp_path: Path) -> None:
    with following(used, tmp_path / "run.leaks") as running:
        wait_for_objects(running)
        running.wait_for(lambda: bool(changed_code(used.pid)))
        running.send(signal.SIGKILL)
        running.process.wait(LIMIT_S)
    assert code_left(used.pid) == []
    assert "System uptime" in used.cli("core show uptime")
    assert not list(tmp_path.iterdir())


def test_a_target_that_restarts_itself_is_said(
    short_lived: Callable[..., Instance], tmp_path: Path
) -> None:
    asterisk = short_lived("16")
    with following(asterisk, tmp_path / "run.leaks") as running:
        running.wait_for(lambda: " objects" in running.shown)
        asterisk.cli("core restart now")
        result = running.finish()
    assert result.code == 0, result.errors
    assert "ended early: target restart" in result.out
    assert read_leaks(tmp_path / "run.leaks").target.exited
    assert code_left(asterisk.pid) == []


def test_a_target_in_namespaces_of_its_own_is_followed(
    short_lived: Callable[..., Instance],
) -> None:
    asterisk = short_lived("22", namespaces=True)
    with busy(asterisk, "make {} list 1 20", "free {}"):
        recording = followed(asterisk, 2)
    check(recording)
    assert "hash_ao2_new_node" in {site.function for site in recording.sites}
    assert recording.stacks and recording.files


def test_without_root_it_says_what_helps(sip: Instance) -> None:
    result = run_as_nobody(["leaks", "-p", str(sip.pid)])
    assert (result.code, result.out) == (5, "")
    assert result.errors.splitlines()[1].startswith("  try: sudo ")


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(
    sip: Instance, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    place = str(tmp_path / "file" / "run.leaks")
    result = run(["leaks", "-p", str(sip.pid), "-o", place], tmp_path)
    assert (result.code, result.out) == (2, "")
    assert "is not a folder" in result.errors and "  try: " in result.errors
    assert "objects" not in result.errors


def test_a_disk_without_room_takes_nothing_from_the_screen(sip: Instance, tmp_path: Path) -> None:
    place = str(tmp_path / "run.leaks")
    words = " ".join(words_of("leaks", "-p", str(sip.pid), "-d", "1", "-o", place))
    result = finished(["prlimit", "--fsize=64", "bash", "-c", words], tmp_path)
    assert result.code == 2
    assert "MOST ALIVE" in result.out or "LEAKS" in result.out
    assert "File too large" in result.errors
    assert not list(tmp_path.iterdir())
