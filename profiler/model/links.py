"""Who links objects into containers that grow, as counted in windows."""

from __future__ import annotations

from dataclasses import dataclass

from profiler.model.quantities import Accounting


@dataclass(frozen=True, slots=True)
class ObservedLinks:
    """Links by container and caller, in the kernel's terms."""

    counts: tuple[tuple[int, int, int], ...]  # container, name of the stack, links
    covered_ns: int
    accounting: Accounting
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class LinkStack:
    """Links into one container from one call stack."""

    container: int  # index into containers
    stack: int  # index into stacks, from the call on
    links: int


@dataclass(frozen=True, slots=True)
class Links:
    """What windows saw: fired = kept + filtered (other containers, or no budget) + lost."""

    stacks: tuple[LinkStack, ...]  # most links first
    covered_ns: int  # of the recording
    accounting: Accounting


@dataclass(frozen=True, slots=True)
class LinkUse:
    """Links into one container from one call stack, with names."""

    container: int  # index into Profile.containers
    callers: tuple[str, ...]  # nearest first
    links: int


@dataclass(frozen=True, slots=True)
class LinkProfile:
    """Who links into containers that grow."""

    uses: tuple[LinkUse, ...]  # most links first
    covered_ratio: float  # share of the window in which links were counted
    accounting: Accounting
