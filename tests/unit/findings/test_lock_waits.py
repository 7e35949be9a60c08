from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from profiler.findings.lock_waits import lock_waits
from profiler.model import offcpu as o
from profiler.model.finding import Finding, Severity
from profiler.report.aggregate import aggregate
from tests import examples
from tests.example_times import SECOND_NS, START_NS
from tests.off_cpu_examples import CHANNELS, MS, busy_recording, group, off_cpu

HELD = {"waker": o.BY_THREAD, "waker_tid": 31, "waker_stack": 1}
BRIDGE = replace(CHANNELS, address=0x90, destructor="destroy_bridge", container=None)


def found(
    groups: Iterable[o.WaitGroup] = (), long_waits: Iterable[o.LongWait] = (), **changes: object
) -> list[Finding]:
    waits = off_cpu(groups, long_waits=tuple(long_waits), locks=(CHANNELS, BRIDGE), **changes)
    return list(lock_waits(aggregate(busy_recording(examples.recording(), waits))))


def long_wait(tid: int, holder: int | None, seconds: float = 8, **changes: object) -> o.LongWait:
    end_ns = START_NS + 9 * SECOND_NS
    since_ns = end_ns - round(seconds * SECOND_NS)
    known = o.LongWait(tid, o.LOCK, since_ns, end_ns, False, 0, 0, holder, 1)
    return replace(known, **changes)  # type: ignore[arg-type]


def healthy() -> list[o.WaitGroup]:
    """A busy PBX: a thousand short waits for the lock of channels, workers that wait for work."""
    waits = [group(tid, o.LOCK, 0, *(2 * MS,) * 200, **HELD) for tid in range(30, 35)]
    idle = [group(tid, o.CONDITION, 5, 9_900 * MS) for tid in range(60, 68)]
    return waits + idle + [group(50, o.NETWORK, 3, 9_000 * MS), group(70, o.DISK, 6, 4_000 * MS)]


def test_nothing_is_found_where_nobody_looked() -> None:
    assert list(lock_waits(examples.empty())) == []


def test_a_healthy_busy_pbx_is_silent() -> None:
    assert found(healthy()) == []


def test_a_lock_that_was_waited_for_a_second_is_contended_and_its_holder_is_named() -> None:
    (finding,) = found([group(30, o.LOCK, 0, 1_000 * MS, **HELD)])
    assert (finding.id, finding.severity) == ("lock-contention", Severity.WAITING)
    assert finding.title == (
        "channels (ast_channel_cmp_cb) (mutex at 0x7f3a5c001258): 1 thread waited, up to 1 s; held "
        "by session_do -> action_status -> ast_channel_get_by_name -> internal_ao2_traverse"
    )
    assert finding.evidence[0] == "1 s in all, in 1 wait"
    assert "sudo ebpf-prof waits -p 4711" in finding.advice
    assert found([group(30, o.LOCK, 0, 999 * MS, **HELD)]) == []


def test_who_waits_for_it_is_said_once_for_each_role() -> None:
    (finding,) = found(
        [
            group(30, o.LOCK, 0, 1_000 * MS),
            group(31, o.LOCK, 1, 900 * MS),
            group(40, o.LOCK, 2, 800 * MS),
        ]
    )
    waiting = [line.split(" -> ")[0] for line in finding.evidence if "waiting" in line]
    assert waiting == ["waiting: session_do", "waiting: pbx_thread"]


def test_a_lock_for_which_a_thread_waits_at_any_moment_is_contended() -> None:
    def many(count: int) -> list[o.WaitGroup]:
        return [group(tid, o.LOCK, 0, *(100 * MS,) * count, **HELD) for tid in range(30, 35)]

    assert [one.id for one in found(many(20))] == ["lock-contention"]
    assert found(many(19)) == []


def test_few_waits_that_were_seen_are_no_average() -> None:
    few = [group(30, o.LOCK, 0, *(900 * MS,) * 3, **HELD)]
    assert found(few, covered_ratio=0.01) == []


def test_an_estimate_says_so() -> None:
    (finding,) = found([group(30, o.LOCK, 0, 2_000 * MS)], covered_ratio=0.5)
    assert finding.evidence[0] == "about 4 s in all, in about 2 waits"
    assert "held by" not in finding.title


def test_threads_in_a_circle_are_a_deadlock_and_nothing_more() -> None:
    waits = [long_wait(30, 40), long_wait(40, 30, lock=1), long_wait(31, 30, 6)]
    (finding,) = found(long_waits=waits)
    assert (finding.id, finding.severity) == ("deadlock", Severity.LOST)
    assert finding.title == ("deadlock: 2 threads wait for each other, for 8 s; 1 more behind them")
    assert finding.evidence[0].startswith("thread 30 session_do wanted channels (ast_channel_")
    assert "which thread 40 had; it waited in session_do -> action_status" in finding.evidence[0]
    assert "bridge (mutex at 0x90)" in finding.evidence[1]
    assert "only a restart" in finding.advice


def test_a_deadlock_that_somebody_left_does_not_ask_for_a_restart() -> None:
    waits = [long_wait(30, 40), long_wait(40, 30, lock=1, has_ended=True)]
    (finding,) = found(long_waits=waits)
    assert "restart" not in finding.advice


@pytest.mark.parametrize(("seconds", "count"), [(5, 1), (4.9, 0)])
def test_who_keeps_others_waiting_for_five_seconds_is_stuck(seconds: float, count: int) -> None:
    waits = [long_wait(tid, 60, seconds) for tid in (30, 31, 32)]
    stuck = [one for one in found(long_waits=waits) if one.id == "stuck-thread"]
    assert len(stuck) == count


def test_a_stuck_thread_is_named_with_what_it_waits_for() -> None:
    sleeps = long_wait(60, None, 9, kind=o.SLEEP, lock=None, stack=5)
    waits = [long_wait(30, 60, 2), long_wait(31, 30, 2, lock=1), sleeps]
    (finding,) = found(long_waits=waits)
    assert finding.title == (
        "thread 60 worker_start kept channels (ast_channel_cmp_cb) (mutex at 0x7f3a5c001258) "
        "locked: 2 threads behind it, up to 9 s"
    )
    assert finding.evidence[0].startswith("it did not run for 9 s itself (sleep), in worker_start")


def test_a_thread_that_nobody_needs_may_wait_for_ever() -> None:
    assert found(long_waits=[long_wait(60, None, 9, kind=o.SLEEP, lock=None, stack=5)]) == []


def test_it_is_not_known_who_reads() -> None:
    (finding,) = found(long_waits=[long_wait(30, None)])
    assert finding.title.startswith("nobody knows who kept channels")
