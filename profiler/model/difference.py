"""What changed between two profiles, beyond the error of either."""

from __future__ import annotations

import math
from dataclasses import dataclass

from profiler.model.profile import Profile
from profiler.model.recording import Host, Target

SCHEMA = "ebpf-prof/difference/1"
# A change is clear beyond so many standard deviations: chance makes one in a thousand cases. A
# profile has hundreds of functions; at one in twenty, dozens would seem to change in each.
Z_CLEAR = 3.29


@dataclass(frozen=True, slots=True)
class Recorded:
    """One of the two recordings: what tells whether they can be diffed."""

    target: Target
    host: Host | None  # None: an older recording
    started_at: str  # ISO 8601 wall clock, UTC
    duration_s: float
    frequency_hz: float
    samples: int
    tool_version: str
    command: tuple[str, ...]
    has_lookups: bool  # False: nobody looked for them, as with --cpu-only


@dataclass(frozen=True, slots=True)
class CpuChange:
    """CPU of one function with what it called, of one stack, or of one thread role; of one CPU.

    `noise_ratio` is how much two recordings of the same thing may differ by their error.
    """

    names: tuple[str, ...]  # one name, or the frames of a stack, root first
    before_ratio: float
    after_ratio: float
    noise_ratio: float

    @property
    def delta_ratio(self) -> float:
        """How much more it takes now."""
        return self.after_ratio - self.before_ratio

    @property
    def is_clear(self) -> bool:
        """Return whether it changed by more than the error."""
        return abs(self.delta_ratio) > self.noise_ratio


def sample_ratio(profile: Profile) -> float:
    """Return the share of one CPU that a sample stands for."""
    return 1 / (profile.frequency_hz * profile.window.duration_s)


def sampled_change(
    names: tuple[str, ...], counts: tuple[int, int], sample_ratios: tuple[float, float]
) -> CpuChange:
    """Return the change of what was seen in so many samples before and after.

    A sample stands for a `sample_ratio` of one CPU. The variance of a number of samples is that
    number, as for all rare events that are counted (Poisson).
    """
    before, after = (count * one for count, one in zip(counts, sample_ratios, strict=True))
    deviations = (math.sqrt(count) * one for count, one in zip(counts, sample_ratios, strict=True))
    return CpuChange(names, before, after, Z_CLEAR * math.hypot(*deviations))


@dataclass(frozen=True, slots=True)
class CpuChanges:
    """Those that are clear, the largest first; the others are only counted."""

    changed: tuple[CpuChange, ...] = ()
    within_error: int = 0


@dataclass(frozen=True, slots=True)
class ContainerLoad:
    """What the lookups of all containers of one name did, per second; `noise` as in CpuChange."""

    lookups_hz: float
    lookups_noise_hz: float
    duration_ratio: float  # share of the window
    duration_noise_ratio: float
    elements: int | None  # at the end


_NO_LOAD = ContainerLoad(0.0, 0.0, 0.0, 0.0, 0)


@dataclass(frozen=True, slots=True)
class ContainerChange:
    """Containers that are called the same; a load is None where there was no such container."""

    name: str
    kind: str
    before: ContainerLoad | None
    after: ContainerLoad | None

    @property
    def delta_ratio(self) -> float:
        """How much more of the window its lookups take now."""
        before, after = self.before or _NO_LOAD, self.after or _NO_LOAD
        return after.duration_ratio - before.duration_ratio

    @property
    def is_clear(self) -> bool:
        """Return whether lookups changed by more than the error, or elements at all."""
        before, after = self.before or _NO_LOAD, self.after or _NO_LOAD
        if None not in (before.elements, after.elements) and before.elements != after.elements:
            return True
        noise_hz = math.hypot(before.lookups_noise_hz, after.lookups_noise_hz)
        noise_ratio = math.hypot(before.duration_noise_ratio, after.duration_noise_ratio)
        return (
            abs(after.lookups_hz - before.lookups_hz) > noise_hz
            or abs(self.delta_ratio) > noise_ratio
        )


@dataclass(frozen=True, slots=True)
class ContainerChanges:
    """Those that are clear, the largest first; the others are only counted."""

    changed: tuple[ContainerChange, ...] = ()
    within_error: int = 0


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from one profile to another."""

    schema: str
    before: Recorded
    after: Recorded
    notes: tuple[str, ...]  # why the two cannot be diffed well
    cpu: CpuChange  # of the whole process
    functions: CpuChanges
    stacks: CpuChanges
    threads: CpuChanges
    containers: ContainerChanges | None  # None: only one of the two looked for lookups

    def is_empty(self) -> bool:
        """Return whether nothing changed beyond the error."""
        parts = (self.functions, self.stacks, self.threads, self.containers)
        return not (self.cpu.is_clear or any(part.changed for part in parts if part))
