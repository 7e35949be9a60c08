from __future__ import annotations

from dataclasses import replace

from profiler.model.completeness import Completeness, lookup_completeness, sample_completeness
from profiler.model.profile import StackQuality
from profiler.model.recording import Accounting, Sample
from tests.examples import empty

EVENTS = Accounting(fired=21, kept=1, filtered=2, lost=3, collided=4, truncated=11)
STACKS = StackQuality(12, 7, (("no rule", 5),))


def test_truncated_samples_are_seen_and_collided_ones_are_lost() -> None:
    samples = (Sample(0, 1, 0),) * 12
    profile = replace(empty(), sample_accounting=EVENTS, stack_quality=STACKS, samples=samples)
    assert sample_completeness(profile) == Completeness(seen=12, lost=7, incomplete=5)


def test_samples_without_a_stack_are_lost() -> None:
    samples = (Sample(0, 1, 0),) * 10
    profile = replace(empty(), sample_accounting=EVENTS, samples=samples)
    assert sample_completeness(profile) == Completeness(seen=10, lost=9, incomplete=0)


def test_lookups_are_counted_by_the_kernel_alone() -> None:
    profile = replace(empty(), lookup_accounting=EVENTS, lookup_stack_quality=STACKS)
    assert lookup_completeness(profile) == Completeness(seen=12, lost=7, incomplete=5)
