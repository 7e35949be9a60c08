from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model import recording as rec
from profiler.model.profile import OperationUse, Profile
from profiler.report import operations
from profiler.report.aggregate import aggregate
from profiler.windows import kept_windows
from tests.example_times import START_NS
from tests.examples import recording
from tests.unit.report.test_aggregate import KEY, SCAN, container, group

MS = 1_000_000
SITES = (
    rec.CallSite("a.c", 1, "first"),
    rec.CallSite("b.c", 2, "second"),
    rec.CallSite(None, None, "old"),
)


def sampled(
    samples: dict[int, int],
    found: tuple[rec.Operation, ...] | None,
    *groups: rec.LookupGroup,
    cpu_ms: int = 500,
) -> rec.Recording:
    """Return a recording of 1 s with so many samples of each stack, 1 ms apart."""
    stacks = [stack for stack, count in samples.items() for _ in range(count)]
    return replace(
        recording(),
        stacks=tuple(rec.Stack((), 0, None) for _ in range(max(samples, default=0) + 1)),
        samples=tuple(
            rec.Sample(START_NS + at * MS, 4711, stack) for at, stack in enumerate(stacks)
        ),
        threads=(rec.ThreadUse(4711, "asterisk", cpu_ms * MS, None, False),),
        containers=(container(0x1000), container(0x2000)),
        call_sites=SITES,
        lookups=groups,
        lookup_stacks=(),
        operations=found,
    )


def uses(made: rec.Recording) -> tuple[OperationUse, ...]:
    found = aggregate(made).operations
    assert found is not None
    return found


def operation(name: str, site: int, *stacks: int) -> rec.Operation:
    return rec.Operation(name, site, 0, stacks)


def test_operations_are_sorted_by_their_samples() -> None:
    found = (operation("ao2_link", 0, 0), operation("ao2_find", 1, 1, 2))
    first, second = uses(sampled({0: 3, 1: 2, 2: 2, 3: 3}, found))
    assert (first.name, first.file, first.line, first.function) == ("ao2_find", "b.c", 2, "second")
    assert (first.cpu.samples, second.cpu.samples) == (4, 3)
    assert first.cpu.ratio == pytest.approx(0.5 * 4 / 10)


def test_calls_from_one_place_in_the_source_are_one_use() -> None:
    twice = (operation("ao2_link", 0, 0), replace(operation("ao2_link", 0, 1), frame=1))
    (only,) = uses(sampled({0: 1, 1: 2}, twice))
    assert only.cpu.samples == 3


def test_an_operation_without_a_sample_is_left_out() -> None:
    assert uses(sampled({1: 1}, (operation("ao2_link", 0, 0),))) == ()


def test_samples_count_for_the_container_that_windows_met_there() -> None:
    lookup = group(1, 0, KEY, 10.0, (100,))
    profile = aggregate(sampled({0: 4, 1: 6}, (operation("ao2_find", 0, 0),), lookup))
    (use,) = profile.operations or ()
    assert [(part.address, part.ratio) for part in use.containers] == [(0x2000, 1.0)]
    assert use.containers[0].label == profile.containers[0].label
    (found,) = profile.containers
    assert found.address == 0x2000
    assert found.cpu == found.call_sites[0].cpu == use.cpu
    assert not use.cpu.is_divided


def test_samples_are_divided_by_the_time_of_lookups() -> None:
    groups = (group(0, 0, KEY, 10.0, (100,)), group(1, 0, SCAN, 10.0, (300,)))
    profile = aggregate(sampled({0: 8, 1: 2}, (operation("ao2_callback", 0, 0),), *groups))
    (use,) = profile.operations or ()
    assert [part.ratio for part in use.containers] == [0.75, 0.25]
    assert use.cpu.is_divided
    assert [found.cpu and found.cpu.samples for found in profile.containers] == [6, 2]
    assert all(found.cpu and found.cpu.is_divided for found in profile.containers)


def test_searches_of_one_container_are_not_said_to_be_divided_among_containers() -> None:
    groups = (group(0, 0, KEY, 10.0, (100,)), group(0, 0, SCAN, 10.0, (300,)))
    profile = aggregate(sampled({0: 8}, (operation("ao2_callback", 0, 0),), *groups))
    (found,) = profile.containers
    assert [site.cpu and site.cpu.samples for site in found.call_sites] == [6, 2]
    assert found.cpu is not None
    assert (found.cpu.samples, found.cpu.is_divided) == (8, False)


def test_lookups_that_take_no_time_are_divided_by_their_number() -> None:
    groups = (group(0, 0, KEY, 0.0, (0, 0, 0)), group(1, 0, KEY, 0.0, (0,)))
    (use,) = uses(sampled({0: 8}, (operation("ao2_find", 0, 0),), *groups))
    assert [part.ratio for part in use.containers] == [0.75, 0.25]


def test_lookups_that_were_only_counted_take_as_long_as_the_others() -> None:
    counted = replace(group(1, 0, KEY, 30.0, ()), counted=30)
    groups = (group(0, 0, KEY, 10.0, (100,)), counted)
    (use,) = uses(sampled({0: 8}, (operation("ao2_find", 0, 0),), *groups))
    assert [(part.address, part.ratio) for part in use.containers] == [
        (0x2000, 0.75),
        (0x1000, 0.25),
    ]
    (alone,) = uses(sampled({0: 8}, (operation("ao2_find", 0, 0),), counted))
    assert [part.address for part in alone.containers] == [0x2000]


def test_an_operation_that_no_window_met_has_no_container() -> None:
    made = sampled({0: 8}, (operation("ao2_link", 1, 0),), group(0, 0, KEY, 10.0, (100,)))
    (use,) = uses(made)
    assert use.containers == ()


@pytest.mark.parametrize(("name", "is_known"), [("ao2_find", True), ("ao2_link", False)])
def test_without_a_line_the_names_tell_operations_apart(name: str, is_known: bool) -> None:
    (use,) = uses(sampled({0: 8}, (operation(name, 2, 0),), group(0, 2, KEY, 10.0, (100,))))
    assert bool(use.containers) is is_known


def test_of_an_older_recording_nothing_is_known() -> None:
    profile = aggregate(sampled({0: 8}, None, group(0, 0, KEY, 10.0, (100,))))
    assert profile.operations is None
    assert profile.seen_lookups_ratio is None
    assert profile.containers[0].cpu is None
    assert profile.containers[0].call_sites[0].cpu is None


def window(start_ms: int, end_ms: int) -> rec.ProbeWindow:
    return rec.ProbeWindow(START_NS + start_ms * MS, START_NS + end_ms * MS, 1, 0)


def test_samples_in_windows_are_seen() -> None:
    found = (operation("ao2_find", 0, 0), operation("ao2_link", 1, 1))
    made = sampled({0: 10, 1: 5}, found)  # those in lookups at 0 to 9 ms
    seen = replace(made, probe_windows=(window(7, 9), window(1, 2), window(12, 14)))
    assert aggregate(seen).seen_lookups_ratio == pytest.approx(0.3)
    assert aggregate(replace(made, probe_windows=())).seen_lookups_ratio == 0
    only_links = replace(seen, operations=found[1:])
    assert aggregate(only_links).seen_lookups_ratio is None


def test_windows_that_were_merged_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert operations.WHOLE_WINDOWS == kept_windows.WHOLE_WINDOWS
    monkeypatch.setattr(operations, "WHOLE_WINDOWS", 2)
    made = sampled({0: 10}, (operation("ao2_find", 0, 0),))
    merged = replace(made, probe_windows=(window(0, 1), window(5, 6), window(8, 9)))
    assert aggregate(merged).seen_lookups_ratio == pytest.approx(2 / 5)


counts = st.integers(0, 30)
lookups = st.lists(
    st.builds(
        lambda container, site, flags, total, times: group(container, site, flags, total, times),
        st.integers(0, 1),
        st.integers(0, 2),
        st.sampled_from((KEY, SCAN)),
        st.integers(0, 10**9).map(float),
        st.lists(st.integers(0, 10**9), min_size=1, max_size=4).map(tuple),
    ),
    max_size=8,
)
names = st.sampled_from(("ao2_find", "ao2_link", "ao2_callback"))


@st.composite
def recordings(draw: st.DrawFn) -> rec.Recording:
    """Return recordings in which each stack is in one operation at most."""
    samples = draw(st.dictionaries(st.integers(0, 9), counts))
    keys = st.tuples(names, st.integers(0, 2))
    of_stack = draw(st.dictionaries(st.integers(0, 9), keys))
    found: dict[tuple[str, int], list[int]] = {}
    for stack, key in of_stack.items():
        if stack in samples:
            found.setdefault(key, []).append(stack)
    made = tuple(operation(*key, *sorted(stacks)) for key, stacks in found.items())
    return sampled(samples, made, *draw(lookups), cpu_ms=draw(st.integers(0, 4_000)))


def shares(profile: Profile) -> list[float]:
    return [use.cpu.samples for use in profile.operations or ()]


@given(recordings())
def test_each_sample_counts_once(made: rec.Recording) -> None:
    profile = aggregate(made)
    in_operations = {stack for one in made.operations or () for stack in one.stacks}
    assert sum(shares(profile)) == sum(sample.stack in in_operations for sample in made.samples)
    assert sum(found.cpu.samples for found in profile.containers if found.cpu) <= (
        sum(shares(profile)) + 1e-6
    )
    for use in profile.operations or ():
        if use.containers:
            assert math.fsum(part.ratio for part in use.containers) == pytest.approx(1)


@given(recordings())
def test_a_container_has_what_its_call_sites_have(made: rec.Recording) -> None:
    for found in aggregate(made).containers:
        assert found.cpu is not None
        parts = [site.cpu.samples for site in found.call_sites if site.cpu]
        assert found.cpu.samples == pytest.approx(math.fsum(parts))


@given(recordings())
def test_no_share_is_above_what_the_threads_used(made: rec.Recording) -> None:
    profile = aggregate(made)
    known = [use.cpu for use in profile.operations or ()]
    known += [found.cpu for found in profile.containers if found.cpu]
    known += [site.cpu for found in profile.containers for site in found.call_sites if site.cpu]
    for cpu in known:
        assert 0 <= cpu.low <= cpu.ratio <= cpu.high <= profile.cpu_ratio
    total = sum(use.cpu.ratio for use in profile.operations or ())
    assert total <= profile.cpu_ratio + 1e-9
