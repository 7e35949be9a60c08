from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model import offcpu as o
from profiler.model.off_cpu_profile import OffCpuProfile
from profiler.report.aggregate import aggregate
from tests import examples
from tests.example_times import SECOND_NS, START_NS
from tests.off_cpu_examples import MS, busy_recording, contended_off_cpu, group, off_cpu


def shown(waits: o.OffCpu) -> OffCpuProfile:
    profile = aggregate(busy_recording(examples.recording(), waits))
    assert profile.off_cpu is not None
    return profile.off_cpu


def test_nobody_looked() -> None:
    assert aggregate(examples.recording()).off_cpu is None


def test_the_time_of_all_groups_is_in_kinds_roles_and_stacks() -> None:
    waits = contended_off_cpu()
    total_ns = sum(one.time_ns for one in waits.groups)
    made = shown(waits)
    assert sum(one.time_ns for one in made.kinds) == pytest.approx(total_ns)
    assert sum(one.time_ns + one.idle_ns for one in made.roles) == pytest.approx(total_ns)
    assert sum(one.time_ns for one in made.stacks) == pytest.approx(total_ns)
    assert sum(one.count for one in made.stacks) == sum(one.seen for one in waits.groups)


def test_what_windows_did_not_see_is_estimated() -> None:
    waits = off_cpu([group(60, o.LOCK, 0, 100 * MS)], covered_ratio=0.25)
    made = shown(waits)
    assert made.is_estimated
    assert (made.stacks[0].count, made.stacks[0].time_ns) == (4, 400 * MS)
    assert [one.time_ns for one in made.kinds] == [made.locks[0].time_ns] == [400 * MS]


def test_threads_that_run_the_same_are_one_role() -> None:
    made = shown(off_cpu(group(tid, o.CONDITION, 5, 10 * MS) for tid in range(60, 68)))
    assert [(one.role, one.threads) for one in made.roles] == [("worker_start", 8)]
    assert [(one.threads, one.count) for one in made.stacks] == [(8, 8)]


def test_idle_waiting_comes_last_and_is_no_trouble() -> None:
    groups = (group(60, o.CONDITION, 5, 9_000 * MS), group(70, o.DISK, 6, 1 * MS))
    made = shown(off_cpu(groups))
    assert [one.role for one in made.stacks] == ["cdr_main", "worker_start"]
    assert [one.is_idle for one in made.stacks] == [False, True]
    assert [(one.role, one.time_ns) for one in made.roles] == [
        ("cdr_main", 1 * MS),
        ("worker_start", 0),
    ]


def test_long_waits_of_who_is_idle_are_shown_if_others_waited_behind() -> None:
    idle = o.LongWait(60, o.SLEEP, START_NS, START_NS + 3 * SECOND_NS, False, None, 5)
    behind = replace(idle, tid=30, kind=o.LOCK, lock=0, stack=0, holder_tid=61, holder_stack=1)
    asleep = replace(idle, tid=61)
    made = shown(off_cpu([], long_waits=(idle, behind, asleep)))
    assert [one.tid for one in made.long_waits] == [30, 61]
    assert made.long_waits[0].holder_role == "worker_start"
    assert made.long_waits[0].holder_path[-1] == "internal_ao2_traverse"
