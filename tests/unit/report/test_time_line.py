from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.profile import ThreadGroup
from profiler.model.recording import Recording, Sample, Window
from profiler.model.time_line import ContainerSizes, GroupSamples, SampleBins, TimeLine
from profiler.report.time_line import BINS_MAX, bin_length_ns, placed, sample_bins
from tests.example_times import SECOND_NS, START_NS
from tests.examples import recording


def sampled(*samples: tuple[float, int], seconds: float = 10) -> Recording:
    """Return a recording with (time in s, tid) of each sample."""
    return replace(
        recording(),
        window=Window(START_NS, START_NS + round(seconds * SECOND_NS)),
        frequency_hz=10.0,
        samples=tuple(Sample(START_NS + round(at * SECOND_NS), tid, 0) for at, tid in samples),
    )


def group(*tids: int, samples: int = 1) -> ThreadGroup:
    return ThreadGroup(tids, "runs", "name", 0.5, None, samples)


def test_samples_are_counted_by_thread_group_and_bin() -> None:
    found = sample_bins(
        sampled((0, 7), (0.9, 8), (1, 9), (3.5, 7), (4, 5), seconds=4.5),
        (group(9), group(7, 8), group(6, samples=0)),
    )
    assert found == SampleBins(
        SECOND_NS,
        (
            GroupSamples(0, (0, 1, 0, 0, 0)),
            GroupSamples(1, (2, 0, 0, 1, 0)),
            GroupSamples(None, (0, 0, 0, 0, 1)),  # of a thread that is in no group
        ),
    )


def test_a_sample_beside_the_window_is_in_the_nearest_bin() -> None:
    (one,) = sample_bins(sampled((-0.1, 7), (3.0001, 7), seconds=3), (group(7),)).groups
    assert one.samples == (1, 0, 1)


@pytest.mark.parametrize(("seconds", "bins"), [(0.1, 1), (2.4, 2), (2.5, 3), (3.4, 3)])
def test_no_bin_is_shorter_than_half_of_the_others(seconds: float, bins: int) -> None:
    (one,) = sample_bins(sampled((seconds, 7), seconds=seconds), (group(7),)).groups
    assert one.samples == (*[0] * (bins - 1), 1)


def test_groups_without_a_colour_of_their_own_are_one() -> None:
    groups = tuple(group(tid) for tid in range(10))
    found = sample_bins(sampled(*((0, tid) for tid in range(10)), seconds=1), groups)
    assert [one.group for one in found.groups] == [0, 1, 2, 3, 4, 5, None]
    assert found.groups[-1].samples == (4,)


def test_without_samples_there_is_no_bin() -> None:
    assert sample_bins(sampled(), (group(7),)) == SampleBins()


@pytest.mark.parametrize(
    ("seconds", "frequency_hz", "length_s"),
    [
        (60, 99, 1),
        (10, 99, 0.2),
        (15, 997, 0.2),
        (10, 1_000, 0.1),
        (1, 99, 0.2),
        (86_400, 99, 1_000),
    ],
)
def test_bins_are_few_and_of_a_round_length(
    seconds: int, frequency_hz: float, length_s: float
) -> None:
    assert bin_length_ns(seconds * SECOND_NS, frequency_hz) == length_s * SECOND_NS


@given(st.integers(1, 2**64 - 1), st.floats(0.001, 1e6))
def test_bins_are_never_too_many(duration_ns: int, frequency_hz: float) -> None:
    assert duration_ns // bin_length_ns(duration_ns, frequency_hz) <= BINS_MAX


def test_containers_get_the_places_that_they_have_in_the_profile() -> None:
    line = TimeLine((1,), (5,), containers=(ContainerSizes(3, (8,)), ContainerSizes(4, (9,))))
    assert placed(line, {4: 0}) == TimeLine((1,), (5,), containers=(ContainerSizes(0, (9,)),))
