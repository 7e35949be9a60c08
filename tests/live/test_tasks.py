"""Tasks of task processors are seen as the lab's module, which pushes and runs them, tells."""

from __future__ import annotations

import pytest

from lab.instance import Instance
from profiler.model.recording import Recording
from profiler.model.tasks import TaskGroup
from tests.live.task_runs import groups_of, recorded, tasks_of

pytestmark = [pytest.mark.live, pytest.mark.root]


def functions(recording: Recording, groups: list[TaskGroup]) -> set[str | None]:
    frames = recording.frames
    return {frames[group.function].symbol for group in groups if group.function is not None}


def test_every_task_is_seen_with_its_times(asterisk: Instance) -> None:
    words = "processors=3 rate=300 seconds=2 service=2000"
    recording, truth = recorded(asterisk, "seen", words)
    groups = groups_of(tasks_of(recording), "seen")
    assert truth["pushed"] == truth["executed"] == 600
    assert sum(group.pushed for group in groups) == 600
    assert sum(group.begun for group in groups) == 600
    assert sum(group.wait_ns.count for group in groups) == 600
    assert sum(group.run_ns.count for group in groups) == 600
    assert all(group.push_site is not None for group in groups)
    assert functions(recording, groups) == {"task_sleep"}
    run_ns = sum(group.run_ns.total for group in groups)
    assert run_ns == pytest.approx(truth["run"]["total_ns"], rel=0.05)


def test_waiting_behind_a_slow_task_is_seen(asterisk: Instance) -> None:
    words = "processors=1 rate=500 seconds=1 service=100 slow=100 slow_service=100000"
    recording, truth = recorded(asterisk, "slow", words)
    groups = groups_of(tasks_of(recording), "slow")
    assert functions(recording, groups) == {"task_sleep", "task_slow"}
    wait_ns = sum(group.wait_ns.total for group in groups)
    assert wait_ns == pytest.approx(truth["wait"]["total_ns"], rel=0.05)
    worst_ns = max(group.wait_ns.max or 0 for group in groups)
    assert worst_ns == pytest.approx(truth["wait"]["max_ns"], rel=0.05)
    processor = tasks_of(recording).processors[groups[0].processor]
    assert processor.pushed_lengths.count == truth["pushed"]
    longest = truth["processors"][0]["longest_queue"]
    assert longest - 1 <= (processor.pushed_lengths.max or 0) + 1 <= longest + 1


def test_a_queue_that_grows_is_found_from_outside(asterisk: Instance) -> None:
    words = "processors=1 rate=400 seconds=2 service=4000"
    recording, truth = recorded(asterisk, "grows", words)
    tasks = tasks_of(recording)
    processor = tasks.processors[groups_of(tasks, "grows")[0].processor]
    assert processor.looks
    assert max(length for length, _ in processor.queue_lengths) > 0
    assert processor.queue_lengths[-1][0] <= truth["processors"][0]["longest_queue"]
    assert tasks.processor_count and tasks.looks[-1].looked_at == tasks.processor_count


def test_tasks_of_a_pool_are_run_by_its_threads(asterisk: Instance) -> None:
    words = "processors=4 rate=200 seconds=1 service=1000 pool=2"
    recording, truth = recorded(asterisk, "pool", words)
    tasks = tasks_of(recording)
    groups = groups_of(tasks, "pool")
    assert sum(group.run_ns.count for group in groups) == truth["executed"]
    run_ns = sum(group.run_ns.total for group in groups)
    assert run_ns == pytest.approx(truth["run"]["total_ns"], rel=0.05)
    assert sum(thread.run_ns for thread in tasks.threads) >= run_ns
