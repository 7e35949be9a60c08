"""All findings of a profile, worst first. Pure.

First what loses calls, then threads that can do no more, what burns CPU time, what waits, what
grows; among those what takes more. docs/measurements.md, "Findings", says it to users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from profiler.findings.children import children
from profiler.findings.container_work import container_work
from profiler.findings.descriptors import descriptors
from profiler.findings.growth import growth
from profiler.findings.lock_waits import lock_waits
from profiler.findings.lookups import lookups
from profiler.findings.sockets import sockets
from profiler.findings.tasks import tasks
from profiler.findings.threads import threads
from profiler.model.finding import Finding, Severity
from profiler.model.profile import Profile

_RULES: tuple[Callable[[Profile], Iterable[Finding]], ...] = (
    children,
    container_work,
    descriptors,
    growth,
    lock_waits,
    lookups,
    sockets,
    tasks,
    threads,
)
_SEVERITIES = tuple(Severity)


def find(profile: Profile) -> tuple[Finding, ...]:
    """Return the findings, worst first; ranks count from 1."""
    found = (finding for rule in _RULES for finding in rule(profile))
    ranked = enumerate(sorted(found, key=_badness), 1)
    return tuple(replace(finding, rank=rank) for rank, finding in ranked)


def _badness(finding: Finding) -> tuple[int, float, str, str]:
    severity = _SEVERITIES.index(finding.severity)
    return severity, -(finding.cpu_ratio or 0.0), finding.id, finding.title
