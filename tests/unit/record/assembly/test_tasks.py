from __future__ import annotations

from profiler.model.quantities import Accounting, Distribution, Window
from profiler.model.tasks import ObservedTasks, QueueLook, TaskKey, TaskProcessor, TaskSums
from profiler.record.assembly.stacks import StackIndex
from profiler.record.assembly.tasks import recorded_tasks

NOTHING = Distribution(0, 0, None, ())


def observed(key: TaskKey) -> ObservedTasks:
    return ObservedTasks(
        sums=(TaskSums(key, 1, 0, NOTHING, NOTHING, 1, 0, 5),),
        processors=(
            TaskProcessor("other", NOTHING, 0, ()),
            TaskProcessor("queue", NOTHING, 0, ()),
        ),
        threads=(),
        looks=(QueueLook(1, 9, 9, 0, 0), QueueLook(2, 8, 8, 0, 0)),
        windows=(Window(10, 20),),
        covered_ns=10,
        accounting=Accounting(fired=1, kept=1),
        cost_ns=3,
    )


def frames() -> StackIndex:
    return StackIndex({}, lambda _: None, lambda _: None, True, True)


def test_groups_point_to_their_processor_and_frames() -> None:
    index = frames()
    tasks = recorded_tasks(observed(TaskKey("queue", 0x500, 0x601)), Window(0, 40), index)
    (group,) = tasks.groups
    assert tasks.processors[group.processor].name == "queue"
    assert (group.function, group.push_site) == (index.frame(0x500), index.frame(0x600))
    assert (tasks.covered_ratio, tasks.processor_count) == (0.25, 8)
    assert (group.pushed, group.waiting, group.longest_waiting_ns) == (1, 1, 5)


def test_what_was_not_seen_has_no_frame() -> None:
    tasks = recorded_tasks(observed(TaskKey("queue", 0, None)), Window(0, 40), frames())
    assert (tasks.groups[0].function, tasks.groups[0].push_site) == (None, None)
