"""What the flame graphs and the folded stacks are drawn from: weighted stacks, lane by lane.

A lane is a thread, or a group of them, for samples and a container for comparisons. Weights are
whole numbers whose sum is that of the profile.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from profiler.model.profile import Profile
from profiler.renderers.words.labels import container_label, shown_frames
from profiler.renderers.words.shared import shared
from profiler.renderers.words.thread_groups import lane_namer

Frame = tuple[str, str]  # label, kind
WeightedStack = tuple[tuple[Frame, ...], int]  # root first


@dataclass(frozen=True, slots=True)
class Lane:
    """Stacks under one root."""

    label: str
    stacks: tuple[WeightedStack, ...]  # heaviest first

    @property
    def weight(self) -> int:
        """The sum over the stacks."""
        return sum(weight for _, weight in self.stacks)


@shared
def sample_lanes(profile: Profile) -> tuple[Lane, ...]:
    """Return one lane for each sampled thread or thread group, busiest first, in samples."""
    return lanes_of_samples(profile, lane_namer(profile))


def lanes_of_samples(profile: Profile, lane_of: Callable[[int], str]) -> tuple[Lane, ...]:
    """Return one lane for each name that `lane_of` gives to tids, busiest first, in samples."""
    counts = Counter((sample.tid, sample.stack) for sample in profile.samples)
    rows = ((lane_of(tid), stack, weight) for (tid, stack), weight in counts.items())
    return _lanes(profile, rows)


@shared
def comparison_lanes(profile: Profile) -> tuple[Lane, ...]:
    """Return one lane for each container that was searched; weights are comparisons."""
    weights = whole_numbers([weighted.comparisons for weighted in profile.lookup_stacks])
    labels = [container_label(container) for container in profile.containers]
    rows = (
        (labels[weighted.container], weighted.stack, weight)
        for weighted, weight in zip(profile.lookup_stacks, weights, strict=True)
        if weight
    )
    return _lanes(profile, rows)


def whole_numbers(weights: list[float]) -> list[int]:
    """Return the weights rounded so that their sum is the rounded sum of the weights."""
    floors = [math.floor(weight) for weight in weights]
    missing = round(math.fsum(weights)) - sum(floors)
    by_remainder = sorted(
        range(len(weights)), key=lambda index: (floors[index] - weights[index], index)
    )
    for index in by_remainder[:missing]:
        floors[index] += 1
    return floors


@shared
def shown_stacks(profile: Profile) -> tuple[tuple[Frame, ...], ...]:
    """Return the frames of each stack as (label, kind), root first."""
    return tuple(map(shown_frames, profile.stacks))


def _lanes(profile: Profile, rows: Iterable[tuple[str, int, int]]) -> tuple[Lane, ...]:
    """Group (lane, stack, weight) by lane; stacks that look the same are added up."""
    shown = shown_stacks(profile)
    lanes: dict[str, Counter[tuple[Frame, ...]]] = {}
    for label, stack, weight in rows:
        lanes.setdefault(label, Counter())[shown[stack]] += weight
    made = (
        Lane(label, tuple(sorted(stacks.items(), key=lambda item: (-item[1], item[0]))))
        for label, stacks in lanes.items()
    )
    return tuple(sorted(made, key=lambda lane: (-lane.weight, lane.label)))
