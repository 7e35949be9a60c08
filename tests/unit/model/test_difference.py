from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.model.difference import (
    Z_CLEAR,
    ContainerChange,
    ContainerChanges,
    ContainerLoad,
    CpuChange,
    CpuChanges,
    sample_ratio,
    sampled_change,
)
from profiler.report.difference import diff
from tests import examples

CHANGE = CpuChange(("main",), 0.2, 0.5, 0.1)
LOAD = ContainerLoad(10.0, 3.0, 0.1, 0.03, 7)


def test_a_change_is_clear_beyond_its_noise() -> None:
    assert CHANGE.delta_ratio == pytest.approx(0.3)
    assert CHANGE.is_clear
    assert not replace(CHANGE, after_ratio=0.29).is_clear
    assert replace(CHANGE, after_ratio=0.05).is_clear


def test_samples_are_as_uncertain_as_their_number_says() -> None:
    change = sampled_change(("main",), (100, 50), (0.001, 0.004))
    assert (change.before_ratio, change.after_ratio) == (0.1, 0.2)
    assert change.noise_ratio == pytest.approx(Z_CLEAR * (100 * 0.001**2 + 50 * 0.004**2) ** 0.5)


def test_a_sample_stands_for_its_part_of_the_window() -> None:
    assert sample_ratio(examples.field_story()) == pytest.approx(1 / (99 * 60))


@pytest.mark.parametrize(
    ("after", "is_clear"),
    [
        (LOAD, False),
        (replace(LOAD, lookups_hz=14.0), False),  # within both errors together
        (replace(LOAD, lookups_hz=14.5), True),
        (replace(LOAD, duration_ratio=0.14), False),
        (replace(LOAD, duration_ratio=0.15), True),
        (replace(LOAD, elements=8), True),
        (replace(LOAD, elements=None), False),
        (None, True),
    ],
)
def test_containers_change_by_lookups_their_time_or_elements(after, is_clear: bool) -> None:
    assert ContainerChange("a", "hash", LOAD, after).is_clear == is_clear


def test_a_container_that_was_not_there_had_no_lookups() -> None:
    change = ContainerChange("taskprocessors", "hash", None, replace(LOAD, duration_ratio=0.3))
    assert change.delta_ratio == 0.3


def test_a_difference_is_empty_if_nothing_is_clear() -> None:
    story = examples.field_story()
    same = replace(diff(story, story), threads=CpuChanges((), 3))
    assert same.is_empty()
    change = ContainerChange("a", "hash", None, LOAD)
    for changed in (
        replace(same, cpu=CHANGE),
        replace(same, functions=CpuChanges((CHANGE,))),
        replace(same, stacks=CpuChanges((CHANGE,))),
        replace(same, threads=CpuChanges((CHANGE,))),
        replace(same, containers=ContainerChanges((change,))),
    ):
        assert not changed.is_empty()
