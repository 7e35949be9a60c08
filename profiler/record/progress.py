"""How far a recording is, and how it is ended early."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recording is; for the terminal."""

    elapsed_ns: int
    duration_ns: int
    samples: int
    lookups: int
    spent_ratio: float
    objects: int | None = None  # that are followed; None: none is to be


@dataclass(slots=True)
class Stop:
    """Set by a signal handler to end a recording early, once it has begun."""

    reason: str | None = None
    has_begun: bool = False  # there is something to show by now
