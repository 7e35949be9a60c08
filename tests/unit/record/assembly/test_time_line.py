from __future__ import annotations

from typing import Any

from profiler.model.observed import ContainerKey, CountingWindow, Followed, GroupCount
from profiler.model.recording import Distribution, LookupGroup, Window
from profiler.model.time_line import ContainerSizes, TimeLine
from profiler.record.assembly.time_line import MOST_CONTAINERS, time_line

SECOND_NS = 1_000_000_000
WINDOW = Window(10 * SECOND_NS, 14 * SECOND_NS)
ENDS_NS = (11 * SECOND_NS, 12 * SECOND_NS, 14 * SECOND_NS)
KEY: Any = None


def line(followed: Followed, counting: tuple[CountingWindow, ...] = (), **more: Any) -> TimeLine:
    return time_line(followed, WINDOW, counting, more.get("indexes", {}), more.get("groups", ()))


def counting(start_s: float, end_s: float, lookups: int, open_s: float = 0) -> CountingWindow:
    start_ns, end_ns = round(start_s * SECOND_NS), round(end_s * SECOND_NS)
    open_ns = round(open_s * SECOND_NS) or end_ns - start_ns
    return CountingWindow(
        start_ns, end_ns, open_ns, 0, 1, 1, 0, 0, (GroupCount(KEY, lookups), GroupCount(KEY, 0))
    )


def key(address: int) -> ContainerKey:
    return ContainerKey(address, 1)


def group(container: int, time_ns: int) -> LookupGroup:
    none = Distribution(0, 0, None, ())
    time = Distribution(1, time_ns, time_ns, ((time_ns, time_ns + 1, 1),))
    return LookupGroup(
        container, 0, "__ao2_find", 0, 1, 1, 0, 0, 0, 1, 0, 1.0, None, none, none, time
    )


def test_counts_become_what_each_interval_added() -> None:
    followed = Followed(
        ENDS_NS,
        cost_ns=(100, 100, 350),
        queue_bytes=(0, 9, 3),
        drops=(None, 4, 2),  # a counter of the kernel that began again
        verified=(5, None, 8),
        comparisons=(50, None, 74),
    )
    found = line(followed)
    assert found.cost_ns == (100, 0, 250)
    assert found.queue_bytes == (0, 9, 3)
    assert found.drops == (None, 4, 0)
    assert found.verified == (5, None, 3)
    assert found.comparisons == (50, None, 24)
    assert found.lookups_hz == ()


def test_rates_are_of_the_time_in_which_lookups_were_counted() -> None:
    found = line(Followed(ENDS_NS), (counting(10, 10.5, 30), counting(11.5, 13, 90)))
    assert found.lookups_hz == (60, 60, 60)
    found = line(Followed(ENDS_NS), (counting(12, 14, 90, open_s=0.5),))
    assert found.lookups_hz == (None, None, 180)


def test_a_window_counts_for_the_intervals_that_it_reaches_into() -> None:
    found = line(Followed(ENDS_NS), (counting(10, 12, 20), counting(12, 12.5, 100)))
    assert found.lookups_hz == (10, 10, 200)


def test_only_the_containers_that_grew_or_took_most_are_kept() -> None:
    many = {key(at): (at, at) for at in range(100)}
    followed = Followed((1,), elements={**many, key(70): (1, 900), key(99): (3, 8)})
    indexes = {key(at): at + 1 for at in range(100) if at != 99}
    found = line(followed, indexes=indexes, groups=(group(42, 10), group(7, 300), group(42, 5)))
    assert len(found.containers) == MOST_CONTAINERS
    assert found.containers[0] == ContainerSizes(71, (1, 900))
    assert [one.container for one in found.containers][1:4:2] == [7, 42]
    assert 100 not in {one.container for one in found.containers}


def test_of_a_run_that_was_not_followed_there_is_nothing() -> None:
    assert line(Followed(), (counting(10, 12, 20),)) == TimeLine()
