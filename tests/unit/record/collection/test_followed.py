from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from profiler.model.observed import ContainerKey, Followed
from profiler.record.collection.followed import FollowedRun

KEY = ContainerKey(0x1000, 0x40, 7)


def followed(*looks: tuple[int, int], with_lookups: bool) -> Followed:
    """Look at a run: (cost, elements) at each moment."""
    run = FollowedRun()
    for at, (cost, elements) in enumerate(looks):
        governor: Any = SimpleNamespace(spent_ns=cost)
        sockets: Any = SimpleNamespace(queue_bytes=768, drops=at)
        containers = SimpleNamespace(elements=lambda: {KEY: elements})  # noqa: B023
        lookups: Any = SimpleNamespace(verified=2 * at, comparisons=9 * at, containers=containers)
        run.look(at, governor, sockets, lookups if with_lookups else None)
    return run.observed()


def test_the_sizes_of_a_container_are_those_at_each_look() -> None:
    run = FollowedRun()
    for at, elements in ((5, {KEY: 10}), (6, {}), (7, {KEY: 12})):
        containers = SimpleNamespace(elements=lambda: elements)  # noqa: B023
        lookups: Any = SimpleNamespace(verified=0, comparisons=0, containers=containers)
        known: Any = SimpleNamespace(spent_ns=0, queue_bytes=0, drops=0)
        run.look(at, known, known, lookups)
    assert list(run.sizes()) == [(0x1000, [(5, 10), (7, 12)])]


def test_everything_that_is_known_at_a_moment_is_in_one_interval() -> None:
    assert followed((0, 10), (500, 11), with_lookups=True) == Followed(
        ends_ns=(0, 1),
        cost_ns=(0, 500),
        queue_bytes=(768, 768),
        drops=(0, 1),
        verified=(0, 2),
        comparisons=(0, 9),
        elements={KEY: (10, 11)},
    )


def test_without_lookups_there_are_no_numbers_of_them() -> None:
    found = followed((0, 10), (500, 11), with_lookups=False)
    assert (found.verified, found.comparisons, found.elements) == ((), (), {})
    assert found.cost_ns == (0, 500)


def test_of_a_run_that_never_came_to_a_look_nothing_is_known() -> None:
    assert FollowedRun().observed() == Followed()
