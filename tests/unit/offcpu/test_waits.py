from __future__ import annotations

import pytest

from profiler.model.offcpu import BY_KERNEL, BY_NOBODY, BY_THREAD
from profiler.model.quantities import Window
from profiler.offcpu.waits import Waits, is_futex, key_of
from profiler.wire.offcpu import KERNEL, NO_SYSCALL, NOBODY, PREEMPTED, THREAD, Wait

WINDOW = Window(1_000, 9_000)


def wait(began_ns: int = 2_000, syscall: int = 202, **others: int) -> Wait:
    numbers = {
        **{"address": 0x1_0000_0007, "operation": 128, "value": 2, "share": 1},
        **{"waker": THREAD, "waker_tid": 5, "window": 1, "flags": 0},
        **others,
    }
    return Wait(began_ns, 1, 2, 3, 4, syscall=syscall, **numbers)


def test_only_futexes_have_addresses_and_operations() -> None:
    key = key_of(3, wait())
    assert (key.tid, key.address, key.operation, key.is_mutex) == (3, 0x1_0000_0007, 128, True)
    assert (key.waker, key.waker_tid) == (BY_THREAD, 5)
    read = key_of(3, wait(syscall=0, waker=KERNEL, waker_tid=0))
    assert (read.address, read.operation, read.is_mutex) == (7, 0, False)
    assert (read.waker, read.waker_tid) == (BY_KERNEL, None)
    assert is_futex(202) and not is_futex(None)


def test_who_was_preempted_was_in_no_system_call() -> None:
    key = key_of(3, wait(flags=PREEMPTED, waker=NOBODY))
    assert (key.is_preempted, key.syscall, key.address, key.waker) == (True, None, 0, BY_NOBODY)
    assert key_of(3, wait(syscall=NO_SYSCALL)).syscall is None


@pytest.mark.parametrize(
    ("began_ns", "end_ns", "inside_ns"),
    [(2_000, 5_000, 3_000), (500, 5_000, 4_000), (500, 9_500, 8_000), (9_200, 9_500, 0)],
)
def test_time_counts_inside_the_window_and_durations_whole(
    began_ns: int, end_ns: int, inside_ns: int
) -> None:
    waits = Waits()
    waits.add(3, wait(began_ns, share=4), end_ns, WINDOW, has_ended=True)
    (one,) = waits.all()
    assert (one.seen, one.count, one.time_ns) == (1, 4.0, 4.0 * inside_ns)
    assert one.total_ns == one.max_ns == one.ended_max_ns == end_ns - began_ns
    assert [count for *_, count in one.slots] == [1]


def test_one_that_still_waits_has_no_duration() -> None:
    waits = Waits()
    waits.add(3, wait(), 4_000, WINDOW, has_ended=True)
    waits.add(3, wait(), 9_000, WINDOW, has_ended=False)
    (one,) = waits.all()
    assert (one.seen, one.waiting, one.max_ns, one.ended_max_ns) == (2, 1, 7_000, 2_000)
    assert (one.total_ns, sum(count for *_, count in one.slots)) == (2_000, 1)


def test_without_room_only_threads_and_kinds_are_told_apart() -> None:
    waits = Waits(most=1)
    for number in range(4):
        waits.add(3, wait(address=number), 4_000, WINDOW, has_ended=True)
    first, rest = waits.all()
    assert (first.seen, rest.seen) == (1, 3)
    assert (rest.key.tid, rest.key.stack, rest.key.address) == (3, None, 0)


def test_mutexes_are_told_once() -> None:
    waits = Waits()
    waits.add(3, wait(), 4_000, WINDOW, has_ended=True)
    waits.add(3, wait(value=0, address=9), 4_000, WINDOW, has_ended=True)
    assert waits.new_mutexes() == {0x1_0000_0007}
    assert waits.new_mutexes() == set()
    assert {key.address for key in waits.different()} == {0x1_0000_0007, 9}
