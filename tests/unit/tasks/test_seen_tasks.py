"""Which push belongs to which begin, and what is added up of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from profiler.model.tasks import TaskSums, TaskThread
from profiler.tasks import seen_tasks
from profiler.tasks.seen_tasks import SeenTasks
from profiler.wire.tasks import TaskEvent, TaskEventKind

QUEUE, OTHER = 0x1000, 0x2000
FUNCTION, DATA, SITE = 0x55, 0x66, 0x77
TID = 7
NAME = b"queue\0rest"


def push(
    time_ns: int, length: int = 0, data: int = DATA, queue: int = QUEUE, function: int = FUNCTION
) -> TaskEvent:
    return TaskEvent(time_ns, queue, function, data, SITE, length, 0, 1, TaskEventKind.PUSH, NAME)


def begin(time_ns: int, data: int = DATA, queue: int = QUEUE, task: int = 1) -> TaskEvent:
    return TaskEvent(time_ns, queue, FUNCTION, data, 0, -1, task, TID, TaskEventKind.BEGIN, NAME)


def end(time_ns: int, task: int = 1) -> TaskEvent:
    return TaskEvent(time_ns, 0, 0, 0, 0, -1, task, TID, TaskEventKind.END)


def opened() -> SeenTasks:
    seen = SeenTasks()
    seen.open(100)
    return seen


def only(seen: SeenTasks) -> TaskSums:
    (sums,) = seen.sums()
    return sums


def test_a_task_waits_until_it_begins_and_runs_until_it_ends() -> None:
    seen = opened()
    seen.note([push(110), begin(150), end(250)])
    sums = only(seen)
    assert sums.key == ("queue", FUNCTION, SITE)
    assert (sums.pushed, sums.begun, sums.wait_ns.total, sums.run_ns.total) == (1, 1, 40, 100)
    assert seen.in_flight == 0
    assert seen.threads() == (TaskThread(TID, 1, 100),)


def test_alike_tasks_begin_in_the_order_in_which_they_were_pushed() -> None:
    seen = opened()
    seen.note([push(110), push(120, length=1), begin(130), end(140), begin(150), end(160)])
    assert only(seen).wait_ns.total == 20 + 30


def test_what_was_pushed_before_the_window_has_no_wait() -> None:
    seen = opened()
    # One like it was in the queue already: it begins first.
    seen.note([push(110, length=1), begin(120), end(130), begin(140), end(150)])
    known = {sums.key.site: sums for sums in seen.sums()}
    assert (known[None].begun, known[None].wait_ns.count, known[None].run_ns.total) == (1, 0, 10)
    assert (known[SITE].begun, known[SITE].wait_ns.total) == (1, 30)


def test_a_task_of_a_window_is_followed_beyond_its_end() -> None:
    seen = opened()
    seen.note([push(110)])
    seen.close(120)
    assert seen.in_flight == 1
    seen.note([begin(900), end(1000)])
    assert (only(seen).wait_ns.total, only(seen).run_ns.total) == (790, 100)
    assert seen.in_flight == 0


def test_nothing_outside_of_a_window_counts() -> None:
    seen = opened()
    seen.note([push(90), begin(95), end(99)])
    seen.close(200)
    seen.note([push(200), begin(210), end(220)])
    assert seen.sums() == ()
    assert seen.accounting(0, 0).fired == 0


def test_what_has_not_begun_or_ended_is_told_apart() -> None:
    seen = opened()
    seen.note([push(110), push(120, length=1, data=9), begin(130)])
    seen.close(200)
    seen.end(300)
    sums = only(seen)
    assert (sums.waiting, sums.running, sums.longest_waiting_ns) == (1, 1, 180)
    assert (sums.pushed, sums.begun) == (2, 1)
    assert seen.in_flight == 0


def test_a_task_that_runs_others_has_their_time_and_its_thread_once() -> None:
    seen = opened()
    inner = begin(120, queue=OTHER, task=2)._replace(name=b"other")
    outer = begin(110, task=1)
    seen.note([outer, inner, end(150, task=2), end(210, task=1)])
    assert sorted(sums.run_ns.total for sums in seen.sums()) == [30, 100]
    assert [(one.tasks, one.run_ns) for one in seen.threads()] == [(2, 100)]


def test_an_end_that_is_missing_stops_no_other() -> None:
    seen = opened()
    seen.note([begin(110, task=1), begin(120, task=2), end(150, task=1), begin(160), end(170)])
    assert only(seen).run_ns.total == 40 + 10
    assert only(seen).running == 1


def test_lengths_are_those_that_pushes_met() -> None:
    seen = opened()
    seen.note([push(110, length=3), push(120, length=-1), push(130, length=9)])
    lengths = seen.lengths()["queue"]
    assert (lengths.count, lengths.total, lengths.max) == (2, 12, 9)


def test_a_name_is_that_of_the_moment_of_the_push() -> None:
    seen = opened()
    first = push(110)._replace(name=b"first\0rest")
    other = push(120)._replace(name=b"\xff\0")
    seen.note([first, begin(112), end(115), other])
    assert {sums.key.processor: sums.pushed for sums in seen.sums()} == {"first": 1, "\udcff": 1}


def test_what_finds_no_room_is_lost_and_counted() -> None:
    seen = opened()
    most = seen_tasks._MOST_GROUPS
    seen.note(push(110, function=number) for number in range(most + 3))
    accounting = seen.accounting(refused=5, lost=2)
    assert (accounting.kept, accounting.filtered, accounting.lost) == (most, 5, 5)
    assert accounting.balanced()


EVENTS = st.builds(
    TaskEvent,
    st.integers(0, 1000),
    st.sampled_from([QUEUE, OTHER]),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2]),
    st.just(SITE),
    st.integers(-1, 4),
    st.sampled_from([1, 2, 3]),
    st.sampled_from([1, 2]),
    st.sampled_from(list(TaskEventKind)),
)


@given(st.lists(EVENTS))
def test_whatever_comes_every_task_is_somewhere(events: list[TaskEvent]) -> None:
    seen = opened()
    seen.note(events)
    seen.close(500)
    seen.end(1000)
    assert seen.in_flight == 0
    for sums in seen.sums():
        if sums.key.site is None:
            assert sums.pushed == sums.waiting == 0
        else:
            assert sums.pushed == sums.begun + sums.waiting
        assert sums.run_ns.count + sums.running <= sums.begun
    assert sum(s.pushed or s.begun for s in seen.sums()) == seen.accounting(0, 0).kept
