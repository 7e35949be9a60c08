"""What a profile holds of its measurements, and what is missing: for every table, graph and file.

One rule for all, so that no two outputs say different numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from profiler.model.profile import Profile, StackQuality


@dataclass(frozen=True, slots=True)
class Completeness:
    """What there is of one measurement."""

    seen: int
    lost: int
    incomplete: int  # of those that were seen: their stacks do not reach the thread's start


def sample_completeness(profile: Profile) -> Completeness:
    """Return how many samples there are, and how many are missing: also those without a stack."""
    events, seen = profile.sample_accounting, len(profile.samples)
    without_stack = max(events.seen - seen, 0)
    return Completeness(seen, events.missed + without_stack, _incomplete(profile.stack_quality))


def lookup_completeness(profile: Profile) -> Completeness:
    """Return how many lookups were measured, and how many are missing there."""
    events = profile.lookup_accounting
    return Completeness(events.seen, events.missed, _incomplete(profile.lookup_stack_quality))


def _incomplete(stacks: StackQuality) -> int:
    return stacks.samples - stacks.whole
