from __future__ import annotations

from dataclasses import replace

from profiler.model import offcpu as o
from profiler.model.off_cpu_profile import LockUse
from profiler.report.aggregate import aggregate
from tests import examples
from tests.example_times import SECOND_NS, START_NS
from tests.off_cpu_examples import CHANNELS, MS, busy_recording, contended_off_cpu, group, off_cpu

HELD = {"waker": o.BY_THREAD, "waker_tid": 31, "waker_stack": 1}
LONG = o.LongWait(
    30, o.LOCK, START_NS, START_NS + 3 * SECOND_NS, True, 0, 0, holder_tid=40, holder_stack=2
)


def uses(waits: o.OffCpu) -> tuple[LockUse, ...]:
    profile = aggregate(busy_recording(examples.recording(), waits))
    assert profile.off_cpu is not None
    return profile.off_cpu.locks


def test_a_lock_is_called_as_waits_calls_it_and_says_who_waits_and_who_had_it() -> None:
    (lock,) = uses(contended_off_cpu())
    assert lock.label == "channels (ast_channel_cmp_cb) (mutex at 0x7f3a5c001258)"
    assert (lock.threads, lock.count, lock.max_ns) == (10, 36, 2_400 * MS)
    assert [one.label for one in lock.holders] == [
        "session_do -> action_status -> ast_channel_get_by_name -> internal_ao2_traverse"
    ]
    assert [(one.role, one.path[-1], one.threads) for one in lock.call_sites] == [
        ("session_do", "__ao2_callback", 6),
        ("pbx_thread", "__ao2_link", 4),
    ]


def test_long_waits_count_where_windows_saw_less() -> None:
    waits = off_cpu([group(41, o.LOCK, 2, 5 * MS, **HELD)], long_waits=(LONG,))
    (lock,) = uses(waits)
    assert (lock.time_ns, lock.max_ns, lock.threads) == (3 * SECOND_NS, 3 * SECOND_NS, 2)
    assert [one.role for one in lock.holders] == ["pbx_thread", "session_do"]
    assert [one.time_ns for one in lock.call_sites] == [3 * SECOND_NS, 5 * MS]


def test_a_long_wait_that_windows_saw_as_well_counts_once() -> None:
    waits = off_cpu([group(30, o.LOCK, 0, 3_000 * MS, **HELD)], long_waits=(LONG,))
    (lock,) = uses(waits)
    assert (lock.count, lock.time_ns) == (1, 3 * SECOND_NS)
    assert [(one.count, one.time_ns) for one in lock.call_sites] == [(1, 3 * SECOND_NS)]


def test_who_still_waits_at_the_end_is_counted() -> None:
    (lock,) = uses(off_cpu([], long_waits=(replace(LONG, has_ended=False), LONG)))
    assert lock.waiting == 1


def test_a_place_without_a_stack_is_said_to_be_none() -> None:
    (lock,) = uses(off_cpu([group(30, o.LOCK, None, 5 * MS)]))
    assert [one.label for one in lock.call_sites] == ["session_do (its stack is not known)"]


def test_who_was_woken_by_nobody_known_has_no_holder() -> None:
    (lock,) = uses(off_cpu([group(30, o.LOCK, 0, 5 * MS)]))
    assert lock.holders == ()


def test_the_longest_waited_for_is_first_and_others_refer_to_its_place() -> None:
    other = replace(CHANNELS, address=0x10, object=None, container=None, place="asterisk: iflock")
    groups = (group(30, o.LOCK, 0, 1 * MS), group(31, o.LOCK, 0, 9 * MS, lock=1))
    waits = off_cpu(groups, locks=(CHANNELS, other), long_waits=(replace(LONG, lock=1),))
    profile = aggregate(busy_recording(examples.recording(), waits))
    assert profile.off_cpu is not None
    assert profile.off_cpu.locks[0].label == "asterisk: iflock (mutex at 0x10)"
    assert profile.off_cpu.long_waits[0].lock == 0
