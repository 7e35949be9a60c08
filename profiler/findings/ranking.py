"""All findings of a profile, worst first. Pure.

First what loses calls, then what burns CPU time, then what waits, then what grows; among those what
takes more. docs/measurements.md, "Findings", says it to users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from profiler.findings.children import children
from profiler.findings.descriptors import descriptors
from profiler.findings.growth import growth
from profiler.findings.lookups import lookups
from profiler.findings.sockets import sockets
from profiler.findings.threads import threads
from profiler.model.profile import Finding, Profile, Severity

_RULES: tuple[Callable[[Profile], Iterable[Finding]], ...] = (
    children,
    descriptors,
    growth,
    lookups,
    sockets,
    threads,
)
_SEVERITIES = tuple(Severity)


def find(profile: Profile) -> tuple[Finding, ...]:
    """Return the findings, worst first; ranks count from 1."""
    worst_first = sorted(
        (finding for rule in _RULES for finding in rule(profile)),
        key=lambda finding: (
            _SEVERITIES.index(finding.severity),
            -(finding.cpu_ratio or 0.0),
            finding.id,
            finding.title,
        ),
    )
    return tuple(replace(finding, rank=rank) for rank, finding in enumerate(worst_first, 1))
