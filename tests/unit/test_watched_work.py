from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.observed import MeasuredWindow, Turn, WatchedLink
from profiler.recording import ProbeWindow
from profiler.watched_work import (
    ARMING_NS,
    CONTENDED_HIT_DOUBT_RATIO,
    HIT_DOUBT_RATIO,
    HIT_RATIO,
    LEAST_FOLLOWED,
    LEAST_TURNS,
    LEAST_WINDOWS,
    SWITCH_DOUBT_HITS,
    is_fought_over,
    watched_work,
)

TURN_NS = 2_000_000


def window(followed: int, link: int | None = 0, tallied: int = 1000) -> MeasuredWindow:
    return MeasuredWindow(
        window=ProbeWindow(0, 1, tallied, 0),
        groups=(),
        is_counting=True,
        cpu_begin_ns=0,
        cpu_end_ns=1,
        cost_ns=0,
        admitted=tallied,
        refused=0,
        tallied=tallied,
        link=link,
        followed=followed,
    )


def link(followed: Sequence[int], hit_ns: float = 0.0, switches: int = 0) -> WatchedLink:
    """Return a link that was followed so often in turns of as much work each."""
    turns = []
    for hits in followed:
        watching_ns = ARMING_NS + HIT_RATIO * hits * hit_ns
        turns.append(Turn(hits, TURN_NS + round(watching_ns), switches))
    return WatchedLink(tuple(turns), hit_ns)


STEADY = link([20] * 10)  # each 100 us
WINDOWS = [window(100)] * 3


def test_what_follows_a_link_as_often_is_as_much_work() -> None:
    work = watched_work(WINDOWS, [STEADY])
    assert work is not None
    assert work.windows == tuple(WINDOWS)
    assert work.work_ns == pytest.approx(300 * 100_000)
    assert work.variance == pytest.approx(0.0)


@given(
    hit_ns=st.floats(0, 50_000),
    switches=st.integers(0, 20),
    followed=st.integers(LEAST_FOLLOWED, 1000),
)
def test_what_watching_costs_is_no_work(hit_ns: float, switches: int, followed: int) -> None:
    work = watched_work([window(followed)] * 3, [link([20] * 10, hit_ns, switches)])
    assert work is not None
    assert work.work_ns == pytest.approx(3 * followed * 100_000, rel=1e-5)


def test_a_hit_costs_the_target_more_than_us() -> None:
    turns = (Turn(100, 10_000_000),) * 5
    work = watched_work(WINDOWS, [WatchedLink(turns, hit_ns=10_000)])
    assert work is not None
    assert work.work_ns == pytest.approx(300 * (10_000_000 - 20_000 - 1_120_000) / 100)


ENOUGH = [LEAST_FOLLOWED - 10 * (LEAST_TURNS - 1), *[10] * (LEAST_TURNS - 1)]
SEEN = [window(LEAST_FOLLOWED - 2 * 10), window(10), window(10)]


def test_a_link_that_is_known_well_enough() -> None:
    assert len(SEEN) == LEAST_WINDOWS
    assert watched_work(SEEN, [link(ENOUGH)]) is not None


@pytest.mark.parametrize(
    "followed",
    [
        [LEAST_FOLLOWED] * (LEAST_TURNS - 1),
        [ENOUGH[0] - 1, *ENOUGH[1:]],
        [],
    ],
    ids=["turns", "followed", "none"],
)
def test_a_link_that_was_watched_too_little_outside_tells_nothing(followed: list[int]) -> None:
    assert watched_work(SEEN, [link(followed)]) is None


@pytest.mark.parametrize(
    "windows",
    [
        [window(LEAST_FOLLOWED)] * (LEAST_WINDOWS - 1),
        [*SEEN[1:], window(LEAST_FOLLOWED - 2 * 10 - 1)],
        [],
    ],
    ids=["windows", "followed", "none"],
)
def test_a_link_that_was_watched_too_little_inside_tells_nothing(
    windows: list[MeasuredWindow],
) -> None:
    assert watched_work(windows, [link(ENOUGH)]) is None


def test_turns_in_which_the_thread_did_not_run_do_not_count() -> None:
    idle = (Turn(0, 0),) * LEAST_TURNS
    few = link([LEAST_FOLLOWED] * (LEAST_TURNS - 1))
    assert watched_work(SEEN, [replace(few, turns=few.turns + idle)]) is None
    with_idle = watched_work(WINDOWS, [replace(STEADY, turns=STEADY.turns + idle)])
    assert with_idle == watched_work(WINDOWS, [STEADY])


def test_turns_that_held_nothing_but_hits_tell_nothing() -> None:
    turns = (Turn(20, 20_000 + 20 * 8_000),) * 10
    assert watched_work(WINDOWS, [WatchedLink(turns, hit_ns=8_000)]) is None


def test_several_links_add_up() -> None:
    dense = link([30, 50] * 5)
    windows = [window(100, 0), window(90, 1), window(300, 2), *[window(100, 0), window(90, 1)] * 2]
    sparse = link([10, 30] * 5)
    one = watched_work(windows, [sparse])
    both = watched_work(windows, [sparse, dense])
    other = watched_work(windows, [link([]), dense])
    assert one is not None
    assert both is not None
    assert other is not None
    assert one.work_ns == pytest.approx(300 * 100_000)
    assert other.work_ns == pytest.approx(270 * 50_000)
    assert both.work_ns == pytest.approx(one.work_ns + other.work_ns)
    assert both.variance == pytest.approx(one.variance + other.variance)
    assert min(one.variance, other.variance) > 0
    assert both.windows == one.windows + other.windows
    assert {seen.link for seen in both.windows} == {0, 1}


def test_windows_in_which_nothing_was_watched_are_left_out() -> None:
    unwatched = [window(0, None), window(5000, None)]
    assert watched_work([*unwatched, *WINDOWS], [STEADY]) == watched_work(WINDOWS, [STEADY])
    assert watched_work(unwatched * 3, [STEADY]) is None


def test_the_variance_of_turns_that_differ() -> None:
    differing = watched_work(WINDOWS, [link([10, 30] * 5)])
    assert differing is not None
    assert differing.work_ns == pytest.approx(30_000_000)
    relative = 10 / 9 * (10 * 10**2) / 200**2
    assert differing.variance == pytest.approx(30_000_000**2 * relative)


def test_the_variance_of_how_many_lookups_pass() -> None:
    windows = [window(100, tallied=1000), window(80, tallied=1000), window(120, tallied=1000)]
    differing = watched_work(windows, [STEADY])
    assert differing is not None
    relative = 3 / 2 * (20**2 + 20**2) / 300**2
    assert differing.variance == pytest.approx(30_000_000**2 * relative)


def test_windows_with_more_lookups_that_pass_more_often_do_not_differ() -> None:
    windows = [window(100, tallied=1000), window(50, tallied=500), window(150, tallied=1500)]
    work = watched_work(windows, [STEADY])
    assert work is not None
    assert work.variance == pytest.approx(0.0)


def test_the_variance_holds_the_doubt_of_what_a_hit_costs() -> None:
    work = watched_work(WINDOWS, [link([20] * 10, hit_ns=8_000)])
    assert work is not None
    doubt_ns = 300 * 8_000 * HIT_DOUBT_RATIO  # each hit of a turn is in the work of all windows
    assert work.variance == pytest.approx(doubt_ns**2)


def test_where_threads_wait_hits_and_switches_are_doubted_more() -> None:
    waiting = link([20] * 10, hit_ns=8_000, switches=10)
    work = watched_work(WINDOWS, [waiting])
    assert work is not None
    hits_ns = 300 * 8_000 * CONTENDED_HIT_DOUBT_RATIO
    switches_ns = 300 * 0.5 * 8_000 * SWITCH_DOUBT_HITS
    assert work.variance == pytest.approx(hits_ns**2 + switches_ns**2)


@pytest.mark.parametrize(
    ("switches", "doubt_ratio"), [(2, HIT_DOUBT_RATIO), (3, CONTENDED_HIT_DOUBT_RATIO)]
)
def test_threads_that_are_switched_now_and_then_do_not_wait_for_a_lock(
    switches: int, doubt_ratio: float
) -> None:
    work = watched_work(WINDOWS, [link([100] * 10, hit_ns=8_000, switches=switches)])
    assert work is not None
    doubt_hits = math.hypot(doubt_ratio, SWITCH_DOUBT_HITS * switches / 100)
    assert work.variance == pytest.approx((300 * 8_000 * doubt_hits) ** 2)


@pytest.mark.parametrize(("switches", "is_fought"), [(4, False), (6, True)])
def test_threads_that_leave_their_cpus_all_the_time_fight_for_a_lock(
    switches: int, is_fought: bool
) -> None:
    turns = (Turn(0, 1_000_000, switches), Turn(0, 0, 0), Turn(100, 1_000_000, 5))
    links = [WatchedLink(turns[:2], 8_000), WatchedLink(turns[2:], 8_000)]
    assert is_fought_over(links) is is_fought


def test_where_nothing_was_watched_nobody_is_known_to_fight() -> None:
    assert not is_fought_over([])
    assert not is_fought_over([WatchedLink((), 8_000)])


def test_the_doubt_of_what_a_hit_costs_is_one_for_all_links() -> None:
    steady = link([20] * 10, hit_ns=8_000)
    one = watched_work([window(100)] * 12, [steady])
    four = watched_work([window(100, at % 4) for at in range(12)], [steady] * 4)
    assert one is not None
    assert four is not None
    assert four.variance == pytest.approx(one.variance)
    assert one.variance**0.5 == pytest.approx(one.work_ns * HIT_DOUBT_RATIO * 8_000 / 100_000)
