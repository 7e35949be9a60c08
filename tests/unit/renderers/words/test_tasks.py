from __future__ import annotations

from dataclasses import replace

from profiler.model.recording import Accounting
from profiler.renderers.words import tasks
from tests import task_examples as t


def test_the_summary_says_how_much_was_seen() -> None:
    assert tasks.summary(t.shown(t.healthy())) == (
        "87 task processors in all. Tasks were watched 50 % of the time, none lost. "
        "At most 2 tasks waited in all queues."
    )


def test_lost_tasks_are_said() -> None:
    lossy = replace(t.shown(t.healthy()), accounting=Accounting(10, 7, 0, 3))
    assert "3 tasks were lost." in tasks.summary(lossy)
    assert "none lost" not in tasks.summary(lossy)


def test_a_function_is_told_with_its_times_and_who_pushed() -> None:
    slow = t.shown(t.held_up()).queues[0].functions[0]
    assert (
        tasks.function_label(slow)
        == "slow_lookup: 1 task, ran 2 s typically, 2 s at most, pushed by distributor"
    )


def test_tasks_that_do_not_end_are_told_so() -> None:
    endless = t.group(0, (), (), t.SLOW, running=1, begun=1)
    (queue,) = t.shown(t.tasks((t.processor("a"),), (endless,))).queues
    assert "slow_lookup: 1 task, did not end" in tasks.function_label(queue.functions[0])


def test_threads_are_told_with_how_busy_they_are() -> None:
    (said,) = tasks.threads(t.shown(t.healthy()))
    assert said == "worker_start: 2 threads, 0.3 busy on average, 1,701 tasks (a pool)"


def test_nothing_seen_is_said() -> None:
    assert tasks.without_tasks(t.shown(t.tasks((), ()))) == "No task was seen."
    assert tasks.without_tasks(t.shown(t.healthy())) == ""
