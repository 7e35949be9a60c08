from __future__ import annotations

import math
from dataclasses import replace

import pytest

from profiler.findings.wording import place
from profiler.model.recording import (
    CallSite,
    Container,
    Cost,
    Distribution,
    LookupGroup,
    LookupStack,
    Probe,
    Recording,
)
from profiler.model.search import Search
from profiler.report.aggregate import LEFT_OUT, aggregate
from tests.example_times import SECOND_NS
from tests.examples import recording

KEY, SCAN = 0x40, 0


def exact(*values: int) -> Distribution:
    slots = tuple((value, value + 1, values.count(value)) for value in sorted(set(values)))
    return Distribution(len(values), sum(values), max(values, default=None), slots)


def group(
    container: int, site: int, flags: int, total: float, times: tuple[int, ...], hits: int = 1
) -> LookupGroup:
    measured = len(times)
    return LookupGroup(
        container=container,
        call_site=site,
        entry="__ao2_find",
        flags=flags,
        measured=measured,
        verified=measured,
        unverifiable=0,
        contradicted=0,
        truncated=0,
        hits=hits,
        misses=measured - hits,
        estimated_total=total,
        estimated_variance=4.0,
        comparisons=exact(*range(1, measured + 1)),
        sort_calls=exact(),
        duration_ns=exact(*times),
    )


def container(address: int) -> Container:
    return Container(address, "hash", 7, 70, 77, (), None, None, None)


def recorded(*groups: LookupGroup, **changes: object) -> Recording:
    base = replace(
        recording(),
        containers=(container(0x1000), container(0x2000)),
        call_sites=(CallSite("a.c", 1, "one"), CallSite("b.c", 2, "other")),
        lookups=groups,
        lookup_stacks=(),
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def test_where_calls_are_left_out_a_frame_says_so() -> None:
    base = recording()
    index = base.samples[0].stack
    stacks = list(base.stacks)
    stacks[index] = replace(stacks[index], left_out=272, left_out_at=1)
    profile = aggregate(replace(base, stacks=tuple(stacks)))
    before = aggregate(base).stacks[index].frames
    assert profile.stacks[index].frames == (*before[:-1], LEFT_OUT, before[-1])
    assert profile.stack_quality.left_out == sum(s.stack == index for s in base.samples)


def test_samples_and_their_causes_are_kept() -> None:
    profile = aggregate(recording())
    assert len(profile.samples) == sum(thread.samples for thread in profile.threads) == 2
    assert profile.stack_quality.samples == 2
    assert (profile.stack_quality.whole, profile.stack_quality.by_cause) == (1, (("no table", 1),))
    assert profile.unnamed_frames_ratio == pytest.approx(2 / 3)


def test_threads_are_ranked_by_what_they_used_of_the_window() -> None:
    profile = aggregate(recording())
    assert [(thread.tid, thread.cpu_ratio) for thread in profile.threads] == [
        (4711, 0.991),
        (4733, 0.0),
    ]


def test_the_time_line_points_to_containers_where_they_are_in_the_profile() -> None:
    groups = group(0, 0, KEY, 1, (2_000,)), group(1, 0, KEY, 9, (9_000,))
    profile = aggregate(recorded(*groups))  # its time line is of the container at 0x1000
    (sizes,) = profile.time_line.containers
    assert profile.containers[sizes.container].address == 0x1000
    assert sizes.container == 1
    assert sum(sum(one.samples) for one in profile.sample_bins.groups) == len(profile.samples)


def test_lookups_are_added_up_by_container_and_by_call_site() -> None:
    profile = aggregate(
        recorded(
            group(0, 0, KEY, 30, (2_000, 4_000, 6_000)),
            group(0, 1, KEY, 10, (50_000,)),
            group(1, 0, KEY, 5, (1_500, 1_500)),
        )
    )
    first, second = profile.containers
    assert (first.address, second.address) == (0x1000, 0x2000)
    assert (first.lookups.measured, first.lookups.estimated_total) == (4, 40)
    assert first.estimated_duration_ns == 30 * 4_000 + 10 * 50_000
    assert first.lookups.hit_ratio == pytest.approx(0.5)
    assert [site.function for site in first.call_sites] == ["other", "one"]
    assert sum(site.measured for site in first.call_sites) == first.lookups.measured
    factor = math.exp(1.96 * math.sqrt(math.log(1 + (4 / 40) ** 2)))
    assert (first.lookups.estimated_low, first.lookups.estimated_high) == pytest.approx(
        (40 / factor, 40 * factor)
    )
    assert first.chain.mean == 11


def test_one_source_place_that_searches_in_two_ways_is_two_call_sites() -> None:
    profile = aggregate(recorded(group(0, 0, KEY, 3, (2_000,)), group(0, 0, SCAN, 3, (3_000,))))
    assert [site.search for site in profile.containers[0].call_sites] == [
        Search.SCAN,
        Search.KEY,
    ]


def test_an_estimate_that_is_as_large_as_its_error_may_be_many_times_too_small() -> None:
    unsure = replace(group(0, 0, KEY, 40, (2_000,)), estimated_variance=40.0**2)
    (use,) = aggregate(recorded(unsure)).containers
    assert use.lookups.estimated_low == pytest.approx(40 / 5.11, rel=1e-3)
    assert use.lookups.estimated_high == pytest.approx(40 * 5.11, rel=1e-3)


def test_no_more_is_estimated_to_be_sure_than_was_measured() -> None:
    (use,) = aggregate(recorded(group(0, 0, KEY, 2, (2_000, 2_000)))).containers
    assert use.lookups.estimated_low == 2


def test_a_lower_bound_is_no_total() -> None:
    bound = replace(group(0, 0, KEY, 40, (2_000,)), estimated_variance=None)
    (use,) = aggregate(recorded(bound, group(0, 1, KEY, 10, (5_000,)))).containers
    assert (use.lookups.estimated_total, use.lookups.estimated_high) == (None, None)
    assert use.lookups.estimated_low == pytest.approx(50, rel=0.2)
    first, second = use.call_sites
    assert (first.estimated_total, first.estimated_low) == (None, 40)
    assert second.estimated_total == 10
    assert use.estimated_duration_ns == 40 * 2_000 + 10 * 5_000


def test_times_below_the_resolution_are_one_slot() -> None:
    (use,) = aggregate(
        recorded(group(0, 0, KEY, 4, (0, 5, 1_000, 4_000)), cost=Cost(None, 0, 0, 790, 10_000))
    ).containers
    assert use.duration_ns.histogram == ((0, 1_024, 3), (4_000, 4_001, 1))
    assert (use.duration_ns.p50, use.duration_ns.max) == (1_023, 4_000)
    assert use.duration_ns.total == 5_005


def test_what_the_run_cost_is_a_share_of_the_window() -> None:
    cost = aggregate(recorded(cost=Cost(0.01, SECOND_NS // 1_000, SECOND_NS // 500, 1, 2))).cost
    assert (cost.sampling_ratio, cost.lookups_ratio) == (0.001, 0.002)
    assert cost.measured_ratio == pytest.approx(0.003)


def test_stacks_of_lookups_follow_their_container() -> None:
    profile = aggregate(
        recorded(
            group(0, 0, KEY, 1, (2_000,)),
            group(1, 0, KEY, 9, (9_000,)),
            lookup_stacks=(LookupStack(0, 0, 1.0, 10.0), LookupStack(1, 1, 2.0, 20.0)),
        )
    )
    assert [use.address for use in profile.containers] == [0x2000, 0x1000]
    assert [(stack.container, stack.comparisons) for stack in profile.lookup_stacks] == [
        (1, 10.0),
        (0, 20.0),
    ]


def test_the_cpu_time_of_the_process_is_that_of_its_threads_where_it_is_not_recorded() -> None:
    assert aggregate(recorded(cpu_ns=SECOND_NS // 2)).total_cpu_ratio == 0.5
    older = aggregate(recorded(cpu_ns=None))
    assert older.total_cpu_ratio == older.cpu_ratio == 0.991


@pytest.mark.parametrize(
    ("probes", "command", "why"),
    [
        (recording().probes, ("ebpf-prof", "asterisk"), None),
        ((), ("ebpf-prof", "asterisk", "--cpu-only"), "--cpu-only"),
        ((), ("ebpf-prof", "asterisk"), "no probe was placed"),
    ],
)
def test_lookups_were_not_measured_where_no_probe_was(
    probes: tuple[Probe, ...], command: tuple[str, ...], why: str | None
) -> None:
    assert aggregate(recorded(probes=probes, command=command)).lookups_not_measured == why


def test_containers_of_one_name_are_told_apart() -> None:
    groups = (group(0, 0, KEY, 1, (2_000,)), group(1, 0, KEY, 9, (9_000,)))
    first, second = aggregate(recorded(*groups)).containers
    assert first.name == second.name
    assert {first.label, second.label} == {
        f"{use.name}, used by {place(use.call_sites[0])} at {use.address:#x}"
        for use in (first, second)
    }


def test_a_thread_that_runs_what_nothing_names_has_a_start_and_no_role() -> None:
    known = recording()
    unnamed = replace(known.threads[0], start=(0,))
    (thread, _) = aggregate(replace(known, threads=(unnamed, known.threads[1]))).threads
    assert (thread.role, thread.start) == (None, "asterisk+0x1c3a40")
    assert thread.title == "asterisk"
