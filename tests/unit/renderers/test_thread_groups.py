from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.profile import Profile, Thread
from profiler.renderers.thread_groups import BUSY_RATIO, lane_namer, thread_groups
from tests.examples import empty


def call(tid: int, cpu_ratio: float = 0.004, role: str | None = "pbx_thread") -> Thread:
    return Thread(tid, "asterisk", role, cpu_ratio, 0.001, 2)


def profile(*threads: Thread) -> Profile:
    return replace(empty(), threads=threads)


def test_threads_that_run_the_same_are_one_group() -> None:
    monitor = call(1, 0.5, "do_monitor")
    busy, quiet = thread_groups(profile(monitor, *(call(tid, 0.0002) for tid in range(2, 1_402))))
    assert (busy.label, busy.is_many) == ("do_monitor (1)", False)
    assert (quiet.label, quiet.is_many) == ("pbx_thread (1,400 threads)", True)
    assert quiet.cpu_ratio == pytest.approx(0.28)
    assert quiet.samples == 2_800


def test_a_busy_thread_is_shown_by_itself() -> None:
    found = thread_groups(profile(call(1, BUSY_RATIO), call(2), call(3)))
    assert [group.label for group in found] == ["pbx_thread (1)", "pbx_thread (2 threads)"]


def test_other_roles_and_names_stay_apart() -> None:
    threads = (call(1), call(2, role=None), call(3, role="listener"), replace(call(4), name="SIP"))
    assert [len(group.tids) for group in thread_groups(profile(*threads))] == [1, 1, 1, 1]


def test_waiting_is_known_if_it_is_of_one() -> None:
    unknown = replace(call(2), run_delay_ratio=None)
    assert thread_groups(profile(call(1), unknown))[0].run_delay_ratio == 0.001
    assert thread_groups(profile(unknown, replace(unknown, tid=3)))[0].run_delay_ratio is None


@given(st.lists(st.tuples(st.floats(0, 0.02), st.sampled_from([None, "a", "b"])), max_size=30))
def test_every_thread_is_in_one_group(threads: list[tuple[float, str | None]]) -> None:
    made = profile(*(call(tid, cpu, role) for tid, (cpu, role) in enumerate(threads)))
    found = thread_groups(made)
    assert sorted(tid for group in found for tid in group.tids) == [*range(len(threads))]
    ratios = [group.cpu_ratio for group in found]
    assert ratios == sorted(ratios, reverse=True)
    lane_of = lane_namer(made)
    for group in found:
        assert {lane_of(tid) for tid in group.tids} == {group.label}
    assert lane_of(len(threads)) == f"thread ({len(threads)})"
