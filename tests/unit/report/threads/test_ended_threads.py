from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.recording import Recording, Sample, ThreadUse
from profiler.report.aggregate import aggregate
from profiler.report.threads.ended_threads import join_ended
from tests.example_times import START_NS
from tests.examples import recording

MS_NS = 1_000_000


def recorded(*threads: ThreadUse, samples: tuple[int, ...] = ()) -> Recording:
    """Return a recording of 1 s in which these threads ran, with a sample of each of these tids."""
    return replace(
        recording(),
        threads=threads,
        samples=tuple(Sample(START_NS + at, tid, 0) for at, tid in enumerate(samples)),
    )


def ended(tid: int, cpu_ns: int = MS_NS, delay_ns: int | None = 10) -> ThreadUse:
    return ThreadUse(tid, "pbx_thread", cpu_ns, delay_ns, exited=True)


def test_four_that_ended_are_one() -> None:
    three = join_ended(recorded(*map(ended, (1, 2, 3))), {})
    assert [use.tid for use in three[0].threads] == [1, 2, 3]
    (use,) = join_ended(recorded(*map(ended, (1, 2, 3, 4))), {})[0].threads
    assert (use.tid, use.cpu_ns, use.run_delay_ns) == (1, 4 * MS_NS, 40)


def test_the_busiest_names_them_and_has_their_samples() -> None:
    made = recorded(*(ended(tid, tid * 1_000) for tid in range(1, 6)), samples=(1, 5, 2, 9))
    joined, counts = join_ended(made, {})
    assert [use.tid for use in joined.threads] == [5]
    assert [sample.tid for sample in joined.samples] == [5, 5, 5, 9]
    assert counts == {5: 5}


@pytest.mark.parametrize(
    "other",
    [
        replace(ended(9), exited=False),
        replace(ended(9), name="other"),
        ended(9, cpu_ns=10 * MS_NS),  # a hundredth of the second
    ],
)
def test_one_that_lives_or_is_called_otherwise_or_was_busy_is_by_itself(other: ThreadUse) -> None:
    joined, _ = join_ended(recorded(*map(ended, range(1, 5)), other), {})
    assert sorted(use.tid for use in joined.threads) == [1, 9]


def test_roles_are_told_apart() -> None:
    made = recorded(*map(ended, range(1, 9)))
    joined, counts = join_ended(made, dict.fromkeys((1, 2, 3, 4), "calls"))
    assert [use.tid for use in joined.threads] == [1, 5]
    assert counts == {1: 4, 5: 4}


def test_what_they_waited_is_not_known_only_if_it_is_of_none() -> None:
    unknown = (ended(tid, delay_ns=None) for tid in range(1, 5))
    (use,) = join_ended(recorded(*unknown), {})[0].threads
    assert use.run_delay_ns is None


def test_their_group_says_how_many_they_are() -> None:
    lives = replace(ended(900), exited=False)
    profile = aggregate(recorded(*map(ended, range(1, 601)), lives))
    (group,) = profile.thread_groups
    assert (group.count, group.is_many) == (601, True)
    assert group.tids == (900, 1)  # one for all that ended
    assert group.cpu_ratio == pytest.approx(0.601)
    assert group.waiting_ratio == pytest.approx(10 / 1e9)
    assert [(thread.tid, thread.count) for thread in profile.threads] == [(1, 600), (900, 1)]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 20 * MS_NS),
            st.none() | st.integers(0, MS_NS),
            st.sampled_from(("calls", "asks")),
            st.booleans(),
            st.integers(0, 3),
        ),
        max_size=40,
    )
)
def test_nothing_is_lost_or_counted_twice(rows: list[tuple]) -> None:
    threads = tuple(
        ThreadUse(tid, name, cpu, delay, exited)
        for tid, (cpu, delay, name, exited, _) in enumerate(rows)
    )
    samples = tuple(tid for tid, row in enumerate(rows) for _ in range(row[4]))
    made = recorded(*threads, samples=samples)
    profile = aggregate(made)
    for found in (profile.threads, profile.thread_groups):
        assert sum(one.count for one in found) == len(rows)
        assert sum(one.samples for one in found) == len(samples)
        used = sum(one.cpu_ratio for one in found)
        assert used == pytest.approx(sum(row[0] for row in rows) / 1e9)
        waited = sum(one.run_delay_ratio or 0.0 for one in found)
        assert waited == pytest.approx(sum(row[1] or 0 for row in rows) / 1e9)
