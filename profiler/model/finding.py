"""What the operator should know. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from profiler.model.subject import Subject


class Severity(Enum):
    """What a finding means for who makes calls, worst first."""

    LOST = "lost"  # calls, registrations or packets are being lost
    SATURATED = "saturated"  # a thread fills its CPU: it can do no more
    CPU = "cpu"  # CPU time is burnt
    WAITING = "waiting"  # something waits, and nothing is lost yet
    GROWING = "growing"  # something grows while the load does not, and costs already
    NOTE = "note"  # worth knowing, and no problem yet


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the operator should know, worst first."""

    id: str
    rank: int
    title: str
    evidence: tuple[str, ...]
    cpu_ratio: float | None
    advice: str
    severity: Severity = Severity.CPU
    subject: Subject = Subject()
