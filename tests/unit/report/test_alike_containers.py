from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.profile import Profile
from profiler.model.recording import Container, LookupGroup, LookupStack, Recording
from profiler.model.time_line import ContainerSizes, TimeLine
from profiler.report.aggregate import aggregate
from tests.example_times import SECOND_NS
from tests.examples import recording
from tests.unit.report.test_aggregate import KEY, container, group

QUIET = (1_000,)  # ns, of the one lookup in it: far less than a thousandth of the second


def recorded(*lookups: LookupGroup, containers: tuple[Container, ...] | None = None) -> Recording:
    """Return a recording of 1 s in which these lookups were made, in containers of one kind."""
    known = tuple(container(0x1000 + at) for at in range(1 + max(one.container for one in lookups)))
    return replace(
        recording(),
        containers=containers or known,
        lookups=lookups,
        lookup_stacks=tuple(LookupStack(0, one.container, 1.0, 2.0) for one in lookups),
    )


def calls(count: int, first: int = 0) -> tuple[LookupGroup, ...]:
    """Return one lookup in each of so many containers."""
    return tuple(group(first + at, 0, KEY, 1.0, QUIET) for at in range(count))


def shown(made: Recording) -> list[tuple[int, int]]:
    """Return (address, count) of each container that is shown."""
    return [(one.address, one.count) for one in aggregate(made).containers]


def test_four_containers_of_one_lookup_are_one() -> None:
    assert shown(recorded(*calls(3))) == [(0x1000, 1), (0x1001, 1), (0x1002, 1)]
    assert shown(recorded(*calls(4))) == [(0x1000, 4)]


def test_those_that_are_one_say_how_many_they_are() -> None:
    (use,) = aggregate(recorded(*calls(1_500))).containers
    assert use.label == "hash at 0x1000 (×1,500)"
    assert (use.elements_start, use.elements_end, use.buckets) == (None, None, 7)
    assert use.lookups.measured == use.lookups.estimated_total == 1_500
    assert use.call_sites[0].measured == 1_500
    assert use.duration_ns.total == 1_500 * QUIET[0]


@pytest.mark.parametrize(
    "outstanding",
    [
        group(9, 0, KEY, 11.0, QUIET * 11),  # searched more often
        group(9, 0, KEY, 1.0, (SECOND_NS // 999,)),  # takes a thousandth of the time
        replace(group(9, 0, KEY, 1.0, QUIET), counted=11),  # counted more often
    ],
)
def test_one_that_stands_out_is_shown_by_itself(outstanding: LookupGroup) -> None:
    assert sorted(shown(recorded(*calls(9), outstanding))) == [(0x1000, 9), (0x1009, 1)]


def test_one_that_grew_is_shown_by_itself() -> None:
    made = recorded(*calls(10))
    grown = replace(made.containers[9], elements_end=81)
    assert (0x1009, 1) in shown(replace(made, containers=(*made.containers[:9], grown)))


def test_one_in_which_lookups_were_counted_only_is_among_them() -> None:
    counted = replace(group(4, 0, KEY, 2.0, ()), counted=2)
    (use,) = aggregate(recorded(*calls(4), counted)).containers
    assert (use.count, use.lookups.counted, use.lookups.measured) == (5, 2, 4)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "list"},
        {"buckets": 8},
        {"comparator": 1},
        {"hash_function": 1},
        {"sort_function": 1},
    ],
)
def test_another_kind_is_shown_by_itself(changes: dict[str, object]) -> None:
    made = recorded(*calls(5))
    other = replace(made.containers[4], **changes)  # type: ignore[arg-type]
    both = replace(made, containers=(*made.containers[:4], other))
    assert sorted(shown(both)) == [(0x1000, 4), (0x1004, 1)]


def test_other_files_that_ask_make_another_kind() -> None:
    made = recorded(*calls(4), group(4, 1, KEY, 1.0, QUIET))
    assert sorted(shown(made)) == [(0x1000, 4), (0x1004, 1)]


def test_very_many_that_stand_out_are_one_but_for_the_most_expensive() -> None:
    busy = tuple(group(at, 0, KEY, 100.0, (1_000 + at,) * 100) for at in range(300))
    many = shown(recorded(*busy))
    assert len(many) == 51
    assert sorted(count for _, count in many)[-2:] == [1, 250]
    assert many[0] == (0x10F9, 250)  # all together take most, and are called by the worst of them
    assert {address for address, count in many if count == 1} == set(range(0x10FA, 0x112C))


def test_one_that_grew_is_not_lost_among_very_many_expensive_ones() -> None:
    made = tuple(group(at, 0, KEY, 1.0, (2_000_000,)) for at in range(60))
    cheap = calls(1, first=60)
    known = tuple(container(0x1000 + at) for at in range(60))
    grown = replace(container(0x1000 + 60), elements_start=0, elements_end=5_000)
    assert (0x1000 + 60, 1) in shown(recorded(*made, *cheap, containers=(*known, grown)))


def test_chains_of_all_are_added_up() -> None:
    made = recorded(*calls(4))
    chained = (replace(one, chain_lengths=((0, 5), (3, 2))) for one in made.containers)
    (use,) = aggregate(replace(made, containers=tuple(chained))).containers
    assert use.chain.mean == pytest.approx(6 / 7)
    assert use.chain.max == 3


def totals(profile: Profile) -> dict[str, float]:
    """Return what must not change, whatever is joined."""
    containers = profile.containers
    return {
        "containers": sum(one.count for one in containers),
        "measured": sum(one.lookups.measured for one in containers),
        "estimated": math.fsum(one.lookups.estimated_total or 0.0 for one in containers),
        "compared": sum(one.comparisons.total for one in containers),
        "spent": sum(one.duration_ns.total for one in containers),
        "by site": sum(site.measured for one in containers for site in one.call_sites),
        "stacks": math.fsum(stack.lookups for stack in profile.lookup_stacks),
    }


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30),
            st.integers(0, 1),
            st.lists(st.integers(1, 2_000_000), min_size=1, max_size=12),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_nothing_is_lost_or_counted_twice(rows: list[tuple[int, int, list[int]]]) -> None:
    lookups = tuple(
        group(at, site, KEY, float(len(times)), tuple(times)) for at, site, times in rows
    )
    made = recorded(*lookups)
    profile = aggregate(made)
    found = totals(profile)
    assert found == {
        "containers": len({at for at, _, _ in rows}),
        "measured": sum(one.measured for one in lookups),
        "estimated": sum(one.measured for one in lookups),
        "compared": sum(one.comparisons.total for one in lookups),
        "spent": sum(one.duration_ns.total for one in lookups),
        "by site": sum(one.measured for one in lookups),
        "stacks": len(rows),
    }
    assert all(stack.container < len(profile.containers) for stack in profile.lookup_stacks)


def test_what_one_of_them_held_over_the_window_is_not_shown_as_that_of_all() -> None:
    made = recorded(*calls(4), group(4, 1, KEY, 1.0, QUIET))
    sizes = tuple(ContainerSizes(at, (1, 2)) for at in range(5))
    profile = aggregate(replace(made, time_line=TimeLine((1, 2), containers=sizes)))
    (shown,) = profile.time_line.containers
    assert profile.containers[shown.container].address == 0x1004
