"""Who waits for whom, on the terminal; tests/golden/waits has whole reports."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from profiler.model.wait_picture import WaitPicture
from profiler.model.waits import WaitKind
from profiler.renderers.terminal.waits_text import report, summary
from profiler.renderers.words.lines import WIDTH
from tests import wait_examples as examples
from tests.wait_examples import MS, circle, frames, mutex, other, pictured, waiter


def shown(picture: WaitPicture) -> str:
    return "\n".join(line.text for line in report(picture))


@pytest.mark.parametrize("make", examples.EXAMPLES.values(), ids=examples.EXAMPLES)
def test_lines_are_printable_and_fit_into_eighty_columns(make: Callable[[], WaitPicture]) -> None:
    picture = make()
    for line in [*(line.text for line in report(picture)), summary(picture)]:
        assert line.isprintable()
    assert max(len(line.text) for line in report(picture)) <= WIDTH


def test_each_thread_of_a_deadlock_shows_what_it_has_and_what_it_wants() -> None:
    text = shown(circle(3))
    for tid, wanted in ((1, 2), (2, 3), (3, 1)):
        part = text.split(f"\n  thread {tid} asterisk, has not run for ")[1].split("\n  thread ")[0]
        has, wants = part.splitlines()[1:3]
        assert has == f"    has    a lock (mutex at {tid * 0x1000:#x})"
        owner = f"thread {wanted} has it"
        assert wants == f"    wants  a lock (mutex at {wanted * 0x1000:#x}): {owner}"


def test_a_thread_that_waits_for_the_end_of_another_says_so() -> None:
    threads = [waiter(1, 0), other(9, WaitKind.JOIN, waits_for=1)]
    text = shown(pictured(threads, [mutex(0x1000, 9)]))
    assert "    wants  the end of thread 1\n" in text
    assert "thread 9 asterisk waits until thread 1 ends" in text


def test_a_deadlock_that_may_end_by_itself_says_so() -> None:
    assert "thread 2 has it, for a limited time" in shown(circle(2, has_timeout=True))


def test_where_a_lock_was_taken_is_a_guess() -> None:
    text = shown(examples.deadlock()).replace("\n           ", " ")
    assert "taken in dial_exec_full (a guess by its stack)" in text
    assert "taken in" not in shown(circle(3))


def test_threads_that_wait_alike_are_one_line() -> None:
    stack = frames("__ao2_lock", "action_status")
    threads = [waiter(tid, 0, tid * MS, frames=stack, switches=tid) for tid in range(1, 32)]
    text = shown(pictured([*threads, other(99, WaitKind.RUNNING)], [mutex(0x1000, 99)]))
    assert "      31 threads asterisk: up to 31 ms in action_status" in text


def test_what_is_left_out_is_counted() -> None:
    many = range(1, 13)
    roles = [waiter(tid, 0, role=f"role-{tid}") for tid in many]
    text = shown(pictured([*roles, other(99, WaitKind.SLEEP)], [mutex(0x1000, 99)]))
    assert "      and 6 more threads" in text
    locks = [mutex(0x1000 * tid, 100 + tid) for tid in many]
    text = shown(pictured([waiter(tid, tid - 1) for tid in many], locks))
    assert "  and 2 more, 2 threads behind them" in text


def test_a_root_that_was_not_seen_or_only_reads() -> None:
    text = shown(pictured([waiter(1, 0)], [mutex(0x1000, 77)]))
    assert "  thread 77, which was not seen" in text
    text = shown(pictured([waiter(1, 0)], [mutex(0x1000, None, readers=3)]))
    assert "\n  3 threads that read\n" in text
    assert "\n  1 thread that reads\n" in shown(
        pictured([waiter(1, 0)], [mutex(0x1000, None, readers=1)])
    )


def test_locks_of_which_no_owner_is_known() -> None:
    free = mutex(0x1000, None)
    assert "\n  not known who\n" in shown(pictured([waiter(1, 0)], [free]))
    moving = [waiter(1, 0, switches=4)]
    assert "\n  nobody just then\n" in shown(pictured([waiter(1, 0)], [free], moving))
    busy = mutex(0x1000, None, changes_hands=True, seen_owners=(1, 7))
    text = "\n  one thread after another; seen to have it: thread 1 asterisk, thread 7\n"
    assert text in shown(pictured([waiter(1, 0)], [busy]))
    unseen = mutex(0x1000, None, changes_hands=True)
    assert "another; seen to have it: nobody\n" in shown(pictured([waiter(1, 0)], [unseen]))


def test_a_lock_that_is_taken_several_times_says_how_often() -> None:
    text = shown(pictured([waiter(1, 0)], [mutex(0x1000, 77, recursion=3)]))
    assert "a lock (mutex at 0x1000), 3 times" in text


def test_very_many_deadlocks_and_threads_in_one_stay_readable() -> None:
    assert "  and 80 more threads" in shown(circle(100))
    count = 40
    locks = [mutex(0x1000 * tid, tid) for tid in range(count)]
    text = shown(pictured([waiter(tid, tid ^ 1) for tid in range(count)], locks))
    assert "and 15 more deadlocks" in text
    assert "    and 10 more\n" in text


def test_very_deep_stacks_and_chains_stay_readable() -> None:
    deep = frames(*(f"f{number}" for number in range(500)))
    assert "      and 440 more" in shown(circle(2, frames=deep))
    count = 500
    locks = [mutex(0x1000 * tid, tid) for tid in range(count)]
    text = shown(pictured([waiter(tid + 1, tid) for tid in range(count)], locks))
    assert "    and 488 more locks, 488 threads" in text
    assert max(map(len, text.splitlines())) <= WIDTH


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (examples.healthy, "OK: 7 threads, 2 wait for a lock, up to 1 ms"),
        (
            examples.deadlock,
            "DEADLOCK: 2 threads wait for each other, for 8 s; 3 more behind them",
        ),
        (
            examples.chain,
            "STUCK: thread 21 session_do keeps channels (ast_channel_cmp_cb) (mutex at "
            "0x7f1000000480) locked: 2 threads behind it, up to 2.3 s",
        ),
        (lambda: pictured(examples.IDLE), "OK: 5 threads, none waits for a lock"),
    ],
)
def test_the_line_for_monitoring(make: Callable[[], WaitPicture], line: str) -> None:
    assert summary(make()) == line
