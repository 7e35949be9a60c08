from __future__ import annotations

import pytest

from profiler.model.tasks import QueueLook, TaskThread
from tests import task_examples as t


def test_alike_names_are_one_row_and_a_single_one_keeps_its_name() -> None:
    queues = t.shown(t.healthy()).queues
    assert [(one.name, one.count) for one in queues] == [
        ("pjsip/distributor-N", 2),
        ("stasis/m:cache_pattern:1/channel:all-00000042", 1),
    ]
    assert queues[0].label == "pjsip/distributor-N (×2)"


def test_no_task_is_lost_on_the_way() -> None:
    known = t.healthy()
    found = t.shown(known)
    for name in ("pushed", "begun"):
        total = sum(getattr(one, name) for one in known.groups)
        assert sum(getattr(queue.times, name) for queue in found.queues) == total
        by_function = [one.times for queue in found.queues for one in queue.functions]
        assert sum(getattr(times, name) for times in by_function) == total
    assert sum(queue.times.wait_ns.total for queue in found.queues) == sum(
        one.wait_ns.total for one in known.groups
    )


def test_rates_are_those_of_the_windows() -> None:
    first = t.shown(t.healthy()).queues[0]
    assert first.tasks_per_s == pytest.approx(1_701 / 5)


def test_a_push_makes_the_queue_one_longer_than_it_was() -> None:
    one = t.shown(t.tasks((t.processor("a", 0, 7, looks=(3,)),), ())).queues[0]
    assert (one.lengths.max, one.lengths.p99) == (8, 7)


@pytest.mark.parametrize(("looks", "least"), [((7, 9, 12), 7), ((7, 9), None), ((), None)])
def test_a_queue_was_never_empty_if_every_look_says_so(looks: tuple[int, ...], least: int) -> None:
    known = t.tasks((t.processor("a", looks=looks),), (), looks=t.LOOKS)
    assert t.shown(known).queues[0].lengths.least == least


def test_who_pushed_most_is_said() -> None:
    groups = (
        t.group(0, (1,), (1,), site=t.DISTRIBUTOR),
        t.group(0, (1, 1), (1, 1), site=t.PUBLISH),
        t.group(0, (1,) * 5, (1,) * 5, site=None),
    )
    (queue,) = t.shown(t.tasks((t.processor("a"),), groups)).queues
    assert queue.functions[0].pushed_by == "stasis_publish"


def test_threads_are_told_by_what_they_run() -> None:
    threads = (TaskThread(7, 10, t.S), TaskThread(8, 20, t.S), TaskThread(9, 1, 1))
    pool, other = t.shown(t.tasks((), (), threads=threads)).threads
    assert (pool.title, pool.count, pool.tasks, pool.is_pool) == ("worker_start", 2, 30, True)
    assert pool.busy == pytest.approx(0.4)
    assert (other.title, other.count, other.is_pool) == ("not known", 1, False)


def test_very_many_names_are_counted() -> None:
    names = [f"pjsip/outsess/{'x' * length}" for length in range(1_005)]
    found = t.shown(t.tasks(tuple(map(t.processor, names)), ()))
    assert (len(found.queues), found.left_out) == (1_000, 5)


def test_the_most_that_waited_in_all_queues_is_kept() -> None:
    looks = (QueueLook(1, 3, 3, 17, 9), QueueLook(2, 3, 3, 4, 4))
    assert t.shown(t.tasks((), (), looks=looks)).queued_max == 17
    assert t.shown(t.tasks((), ())).queued_max is None
