"""Task processors of known times: what the module tells is what was asked of it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lab.errors import LabError
from lab.instance import Instance

pytestmark = pytest.mark.live
MS = 1_000_000


@contextmanager
def tasks(asterisk: Instance, words: str) -> Iterator[str]:
    name = words.split()[0]
    asterisk.groundtruth(f"tasks start {words}")
    try:
        yield name
    finally:
        asterisk.groundtruth(f"tasks stop {name}", 60)


def wait(asterisk: Instance, name: str, seconds: float = 30) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = asterisk.groundtruth(f"tasks result {name}")
        if result["state"] == "done":
            return result
        time.sleep(0.05)
    raise AssertionError(f"the tasks of {name} do not end")


def done(asterisk: Instance, words: str) -> dict[str, Any]:
    with tasks(asterisk, words) as name:
        return wait(asterisk, name)


def function(result: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in result["functions"] if one["name"] == name)


def test_every_task_is_executed_once_and_counted_once(asterisk: Instance) -> None:
    result = done(asterisk, "each processors=7 rate=700 seconds=1 service=10")
    assert result["pushed"] == result["executed"] == 700
    assert [one["pushed"] for one in result["processors"]] == [100] * 7
    for parts in (result["processors"], result["functions"]):
        assert sum(one["executed"] for one in parts) == 700
        for time_kind in ("wait", "run"):
            total = sum(one[time_kind]["total_ns"] for one in parts)
            assert total == result[time_kind]["total_ns"]
    assert len({one["name"] for one in result["processors"]}) == 7


@pytest.mark.parametrize("work", ["sleep", "spin"])
def test_a_task_runs_at_least_as_long_as_asked(asterisk: Instance, work: str) -> None:
    result = done(asterisk, f"long rate=50 seconds=1 service=3000 work={work}")
    mine = function(result, f"task_{work}")
    assert mine["executed"] == 50
    assert mine["run"]["p50_ns"] >= 3 * MS
    assert mine["run"]["total_ns"] >= 150 * MS
    assert 0 <= mine["wait"]["p50_ns"] <= mine["wait"]["p99_ns"] <= mine["wait"]["max_ns"]


def test_a_burst_waits_for_all_that_were_pushed_before(asterisk: Instance) -> None:
    result = done(asterisk, "burst rate=100 seconds=1 burst=100 service=2000 high=50")
    (queue,) = result["processors"]
    assert 90 <= queue["longest_queue"] <= 100  # some may begin while others are pushed
    assert result["wait"]["max_ns"] >= 99 * 2 * MS - 10 * MS
    assert result["wait"]["p50_ns"] <= result["wait"]["max_ns"]


def test_a_slow_task_holds_those_behind_it(asterisk: Instance) -> None:
    result = done(asterisk, "slow rate=100 seconds=1 service=0 slow=50 slow_service=300000")
    slow = function(result, "task_slow")
    assert slow["executed"] == 2
    assert slow["run"]["p50_ns"] >= 300 * MS
    assert function(result, "task_sleep")["wait"]["max_ns"] >= 200 * MS


def test_serializers_share_the_threads_of_a_pool(asterisk: Instance) -> None:
    result = done(asterisk, "pool processors=8 rate=80 seconds=1 burst=10 service=5000 pool=2")
    assert result["executed"] == 80
    shown = asterisk.groundtruth("tasks start kept processors=2 seconds=1 rate=2 pool=2")
    listed = asterisk.cli("core show taskprocessors")
    assert all(one["name"] in listed for one in shown["processors"])
    stopped = asterisk.groundtruth("tasks stop kept", 60)
    assert stopped["executed"] == stopped["pushed"]


def test_asterisk_itself_counts_as_many(asterisk: Instance) -> None:
    with tasks(asterisk, "told rate=60 seconds=1 burst=60 service=1000") as name:
        result = wait(asterisk, name)
        (queue,) = result["processors"]
        listed = asterisk.cli("core show taskprocessors")
        (line,) = [line for line in listed.splitlines() if queue["name"] in line]
    processed, in_queue, longest = (int(word) for word in line.split()[1:4])
    assert (processed, in_queue) == (60, 0)
    assert abs(longest - queue["longest_queue"]) <= 1


def test_what_is_wrong_is_refused(asterisk: Instance) -> None:
    for words in ("x rate=0", "x rate=100000 seconds=100", "x tea=1", "x work=play"):
        with pytest.raises(LabError):
            asterisk.groundtruth(f"tasks start {words}")
    for words in ("result nobody", "stop nobody"):
        with pytest.raises(LabError, match="no such set"):
            asterisk.groundtruth(f"tasks {words}")
    with tasks(asterisk, "twice seconds=1"), pytest.raises(LabError, match="of this name"):
        asterisk.groundtruth("tasks start twice")


def test_the_module_unloads_while_tasks_wait(asterisk: Instance) -> None:
    asterisk.groundtruth("tasks start left processors=4 rate=1000 seconds=60 service=50000 pool=2")
    assert "Unloaded" in asterisk.cli("module unload groundtruth.so", 60)
    assert done(asterisk, "again rate=10 seconds=1")["executed"] == 10
