from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.profile import Thread
from profiler.report.threads.thread_groups import thread_groups


def call(tid: int, cpu_ratio: float = 0.004, role: str | None = "pbx_thread") -> Thread:
    return Thread(tid, "asterisk", role, cpu_ratio, 0.001, 2)


def sizes(*cpu_ratios: float) -> list[int]:
    """Return the sizes of the groups of threads with one role, those that use most first."""
    groups = thread_groups(call(tid, ratio) for tid, ratio in enumerate(cpu_ratios))
    groups = tuple(sorted(groups, key=lambda group: group.tids))
    return [len(group.tids) for group in groups]


def test_threads_that_run_the_same_are_one_group() -> None:
    monitor = call(1, 0.5, "do_monitor")
    busy, quiet = thread_groups([monitor, *(call(tid, 0.0002) for tid in range(2, 1_402))])
    assert (busy.title, busy.is_many) == ("do_monitor", False)
    assert (quiet.title, quiet.is_many) == ("pbx_thread", True)
    assert quiet.cpu_ratio == pytest.approx(0.28)
    assert quiet.samples == 2_800
    assert quiet.runnable_ratio == pytest.approx(0.0012)
    assert quiet.waiting_ratio == pytest.approx(0.001)


def test_threads_without_a_role_are_called_by_their_name_and_grouped_by_their_start() -> None:
    def unnamed(tid: int, start: str | None) -> Thread:
        return Thread(tid, "SIP", None, 0.001, 0.0, 2, start)

    starts = ("libasteriskpj.so.2+0x11c7e0", "asterisk+0x19f380", "asterisk+0x19f380", None)
    groups = thread_groups(unnamed(tid, start) for tid, start in enumerate(starts))
    assert [group.title for group in groups] == ["SIP"] * 3
    assert sorted(group.tids for group in groups) == [(0,), (1, 2), (3,)]


def test_one_that_uses_one_per_cent_is_shown_by_itself() -> None:
    assert sizes(0.01, 0.0099, 0.0099) == [1, 2]


def test_four_busy_ones_are_one_group() -> None:
    assert sizes(0.17, 0.12, 0.08, 0.03, 0.001) == [5]
    assert sizes(0.17, 0.12, 0.08, 0.001) == [1, 1, 1, 1]
    assert sizes(*[0.014] * 60) == [60]


def test_those_that_stand_out_are_shown_beside_the_many() -> None:
    assert sizes(1.0, 0.9, 0.8, *[0.014] * 60) == [1, 1, 1, 60]
    assert sizes(0.4, 0.1, 0.081, 0.08) == [4]
    assert sizes(0.4, 0.1, 0.08, 0.08, 0.08) == [1, 4]
    assert sizes(0.4, 0.08, 0.07, 0.07) == [1, 1, 1, 1]


def test_other_roles_and_names_stay_apart() -> None:
    threads = (call(1), call(2, role=None), call(3, role="listener"), replace(call(4), name="SIP"))
    assert [len(group.tids) for group in thread_groups(threads)] == [1, 1, 1, 1]


def test_waiting_is_known_if_it_is_of_one() -> None:
    unknown = replace(call(2), run_delay_ratio=None)
    assert thread_groups([call(1), unknown])[0].run_delay_ratio == 0.001
    assert thread_groups([unknown, replace(unknown, tid=3)])[0].run_delay_ratio is None


@given(st.lists(st.tuples(st.floats(0, 0.02), st.sampled_from([None, "a", "b"])), max_size=30))
def test_every_thread_is_in_one_group(threads: list[tuple[float, str | None]]) -> None:
    groups = thread_groups(call(tid, cpu, role) for tid, (cpu, role) in enumerate(threads))
    assert sorted(tid for group in groups for tid in group.tids) == [*range(len(threads))]
    ratios = [group.cpu_ratio for group in groups]
    assert ratios == sorted(ratios, reverse=True)
