from __future__ import annotations

from dataclasses import replace

from profiler.findings.lock_chains import find_chains
from profiler.model import offcpu as o
from profiler.model.off_cpu_profile import LongWaitUse

SECOND = 1_000_000_000


def wait(
    tid: int, holder: int | None, *, since_s: int = 0, until_s: int = 9, kind: str = o.LOCK
) -> LongWaitUse:
    """Return a wait for the lock of a number that its holder has."""
    lock = holder if kind == o.LOCK else None
    since_ns, until_ns = since_s * SECOND, until_s * SECOND
    return LongWaitUse(
        tid, "role", kind, since_ns, until_ns, False, lock, (), holder, "role", ("calls",)
    )


def test_threads_in_a_circle_are_one_deadlock_and_others_are_behind() -> None:
    (circle,), chains = find_chains([wait(1, 2), wait(2, 3), wait(3, 1), wait(8, 1), wait(9, 8)])
    assert {one.tid for one in circle.waits} == {1, 2, 3}
    assert sorted(one.tid for one in circle.behind) == [8, 9]
    assert (circle.stood_ns, circle.is_over, chains) == (9 * SECOND, False, ())


def test_two_circles_are_two() -> None:
    circles, _ = find_chains([wait(1, 2), wait(2, 1), wait(3, 4), wait(4, 3)])
    assert sorted(sorted(one.tid for one in circle.waits) for circle in circles) == [[1, 2], [3, 4]]


def test_a_thread_that_waits_for_its_own_lock_is_a_circle_of_one() -> None:
    (circle,), _ = find_chains([wait(1, 1)])
    assert [one.tid for one in circle.waits] == [1]


def test_waits_that_hardly_met_are_no_circle() -> None:
    circles, chains = find_chains([wait(1, 2, until_s=5), wait(2, 1, since_s=4)])
    assert circles == ()
    assert len(chains) == 2


def test_waits_one_after_another_are_no_chain() -> None:
    _, chains = find_chains([wait(1, 2, until_s=3), wait(2, 3, since_s=4)])
    assert {chain.root: [one.tid for one in chain.waits] for chain in chains} == {2: [1], 3: [2]}


def test_who_waits_for_no_lock_is_the_root_with_what_it_waits_for() -> None:
    sleeps = wait(3, None, kind=o.SLEEP, until_s=20)
    _, (chain,) = find_chains([wait(1, 2), wait(2, 3), sleeps])
    assert (chain.root, chain.root_wait) == (3, sleeps)
    assert {one.tid for one in chain.waits} == {1, 2}
    assert chain.longest_ns == 20 * SECOND


def test_nobody_knows_who_reads() -> None:
    _, (chain,) = find_chains([replace(wait(1, None), lock=7)])
    assert (chain.root, chain.root_wait) == (None, None)


def test_nothing_is_found_in_nothing() -> None:
    assert find_chains([]) == ((), ())
