from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from profiler.renderers.graphs.lanes import comparison_lanes, sample_lanes, whole_numbers
from tests import examples


@given(st.lists(st.floats(0, 1e15), max_size=50))
def test_whole_numbers_keep_the_sum_and_stay_close(weights: list[float]) -> None:
    rounded = whole_numbers(weights)
    assert sum(rounded) == round(math.fsum(weights))
    assert all(abs(a - b) <= 1 for a, b in zip(weights, rounded, strict=True))


def test_the_largest_remainders_are_rounded_up() -> None:
    assert whole_numbers([0.5, 0.75, 0.75]) == [0, 1, 1]


def test_the_busiest_thread_comes_first() -> None:
    lanes = sample_lanes(examples.field_story())
    assert [(lane.label, lane.weight) for lane in lanes] == [
        ("do_monitor (chan_sip.so) (4733)", 5_814),
        ("main (4711)", 91),
        ("asterisk (4720)", 30),
    ]


def test_threads_that_run_the_same_and_little_share_a_lane() -> None:
    story = examples.field_story()
    calls = [replace(story.threads[2], tid=tid, role="pbx_thread") for tid in (5_000, 5_001)]
    samples = [replace(story.samples[0], tid=tid) for tid in (5_000, 5_001, 5_001, 9_999)]
    with_calls = replace(
        examples.with_threads(story, *story.threads, *calls), samples=tuple(samples)
    )
    assert [(lane.label, lane.weight) for lane in sample_lanes(with_calls)] == [
        ("pbx_thread (2 threads)", 3),
        ("thread (9999)", 1),
    ]


def test_the_lanes_of_comparisons_are_containers() -> None:
    lanes = comparison_lanes(examples.field_story())
    assert [(lane.label, lane.weight) for lane in lanes] == [
        ("taskprocessors (tps_cmp_cb)", 175_178_446),
        ("dialogs (dialog_cmp_cb)", 31_203),
    ]


def test_a_profile_without_samples_has_no_lane() -> None:
    assert sample_lanes(examples.empty()) == comparison_lanes(examples.empty()) == ()
