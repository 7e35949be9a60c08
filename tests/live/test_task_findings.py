"""What a user is told of task processors, beside what the lab's module knows of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.instance import Instance
from tests.live.running import command, finished

pytestmark = [pytest.mark.live, pytest.mark.root]


@contextmanager
def pushing(asterisk: Instance, words: str) -> Iterator[None]:
    asterisk.groundtruth(f"tasks start {words}")
    try:
        yield
    finally:
        asterisk.groundtruth(f"tasks stop {words.split()[0]}", 60)


def profile(asterisk: Instance, folder: Path) -> dict[str, Any]:
    words = ("asterisk", "-p", str(asterisk.pid), "-d", "6", "-q", "-o", str(folder))
    done = finished(command(*words), folder, 6)
    assert done.code == 0, done.errors
    return done.profile()


def told(profile: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (id, title) of the findings on the module's task processors."""
    found = [(one["id"], one["title"]) for one in profile["findings"]]
    return [one for one in found if "groundtruth/" in one[1]]


def test_the_function_that_holds_up_a_queue_is_told(asterisk: Instance, tmp_path: Path) -> None:
    words = "held rate=20 seconds=30 service=1000 slow=20 slow_service=700000"
    with pushing(asterisk, words):
        found = profile(asterisk, tmp_path / "run")
    ((identifier, title),) = told(found)
    assert identifier == "slow-task"
    assert title.endswith("behind task_slow")
    (queue,) = [one for one in found["tasks"]["queues"] if "groundtruth/held" in one["name"]]
    assert {one["name"] for one in queue["functions"]} == {"task_sleep", "task_slow"}
    assert {one["pushed_by"] for one in queue["functions"]} == {"push_one"}


def test_tasks_that_come_too_fast_are_told(asterisk: Instance, tmp_path: Path) -> None:
    with pushing(asterisk, "fast rate=400 seconds=30 service=5000"):
        found = profile(asterisk, tmp_path / "run")
    ((identifier, title),) = told(found)
    assert identifier == "queue-wait"
    assert "tasks wait up to" in title


def test_a_busy_task_processor_without_waiting_is_not_told(
    asterisk: Instance, tmp_path: Path
) -> None:
    with pushing(asterisk, "well processors=8 rate=400 seconds=30 service=1000 pool=4"):
        found = profile(asterisk, tmp_path / "run")
    assert told(found) == []
    assert any("groundtruth/well" in one["name"] for one in found["tasks"]["queues"])
