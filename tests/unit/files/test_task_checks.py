from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.files.task_checks import task_distributions, task_quantities, task_references
from profiler.model.quantities import Accounting, Distribution
from profiler.model.tasks import QueueLook, TaskGroup, TaskProcessor, Tasks

ONCE = Distribution(1, 5, 5, ((5, 6, 1),))
GROUP = TaskGroup(0, 1, None, 1, 1, ONCE, ONCE, 0, 0, 0)
PROCESSOR = TaskProcessor("queue", ONCE, 1, ((3, 1),))
TASKS = Tasks(
    (), 0, 0.5, (PROCESSOR,), 1, (GROUP,), (), (QueueLook(1, 1, 1, 3, 3),), Accounting(), 0
)


def test_every_index_is_named_with_what_it_points_into() -> None:
    assert list(task_references(TASKS, 7)) == [
        ("tasks.groups.processor", 0, 1),
        ("tasks.groups frames", 1, 7),
    ]


def test_every_distribution_is_checked() -> None:
    assert [name for name, _ in task_distributions(TASKS)] == [
        "tasks.processors.pushed_lengths",
        "tasks.groups.wait_ns",
        "tasks.groups.run_ns",
    ]


def test_a_sound_one_has_nothing_below_zero() -> None:
    assert min(value for _, value in task_quantities(TASKS)) >= 0


@pytest.mark.parametrize(
    "tasks",
    [
        replace(TASKS, covered_ratio=-0.1),
        replace(TASKS, groups=(replace(GROUP, waiting=-1),)),
        replace(TASKS, processors=(replace(PROCESSOR, queue_lengths=((3, -1),)),)),
        replace(TASKS, looks=(QueueLook(1, 1, 1, -3, 3),)),
    ],
)
def test_numbers_below_zero_are_found(tasks: Tasks) -> None:
    assert min(value for _, value in task_quantities(tasks)) < 0
