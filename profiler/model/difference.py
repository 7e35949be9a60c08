"""What changed between two profiles."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CpuChange:
    """CPU of one function with what it called, of one stack, or of one thread role; of one CPU.

    `noise_ratio` is how much two runs of the same thing differ by chance (95 %), by the number of
    samples; None where the CPU is measured, not sampled.
    """

    names: tuple[str, ...]  # one name, or the frames of a stack, root first
    before_ratio: float
    after_ratio: float
    noise_ratio: float | None

    @property
    def delta_ratio(self) -> float:
        """How much more it takes now."""
        return self.after_ratio - self.before_ratio


@dataclass(frozen=True, slots=True)
class ContainerLoad:
    """What the lookups of all containers of one name did, per second."""

    lookups_hz: float
    duration_ratio: float  # share of the window
    elements: int | None  # at the end


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
        before, after = (load.duration_ratio if load else 0.0 for load in (self.before, self.after))
        return after - before


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed from one profile to another."""

    functions: tuple[CpuChange, ...]
    stacks: tuple[CpuChange, ...]
    threads: tuple[CpuChange, ...]
    containers: tuple[ContainerChange, ...]

    def is_empty(self) -> bool:
        """Return whether nothing changed."""
        return not (self.functions or self.stacks or self.threads or self.containers)
