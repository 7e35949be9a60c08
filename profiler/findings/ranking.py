"""All findings of a profile, worst first. Pure.

First what loses calls, then what burns CPU time, then what waits, then what grows; among those what
takes more. Before packets that are lost stands what burns the CPU meanwhile. docs/measurements.md,
"Findings", says it to users.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from profiler.findings.children import children
from profiler.findings.container_work import container_work
from profiler.findings.descriptors import descriptors
from profiler.findings.growth import growth
from profiler.findings.lookups import lookups
from profiler.findings.sockets import sockets
from profiler.findings.threads import threads
from profiler.model.profile import Finding, Profile, Severity

_RULES: tuple[Callable[[Profile], Iterable[Finding]], ...] = (
    children,
    container_work,
    descriptors,
    growth,
    lookups,
    sockets,
    threads,
)
_SEVERITIES = tuple(Severity)
# That a thread is busy says less than what it does: what takes half of its time comes first.
_SAYS_LESS = {"busy-thread": 0.5}
# Of a CPU, and of what the process used: what takes less may not be the cause.
_CAUSE_RATIO, _CAUSE_SHARE = 0.1, 0.5


def find(profile: Profile) -> tuple[Finding, ...]:
    """Return the findings, worst first; ranks count from 1."""
    worst_first = sorted(
        (finding for rule in _RULES for finding in rule(profile)),
        key=lambda finding: (
            _SEVERITIES.index(finding.severity),
            -(finding.cpu_ratio or 0.0) * _SAYS_LESS.get(finding.id, 1.0),
            finding.id,
            finding.title,
        ),
    )
    least_cause = max(_CAUSE_RATIO, _CAUSE_SHARE * profile.cpu_ratio)
    ranked = enumerate(_cause_first(worst_first, least_cause), 1)
    return tuple(replace(finding, rank=rank) for rank, finding in ranked)


def _cause_first(findings: list[Finding], least_ratio: float) -> list[Finding]:
    """Put what burns most before the packets that are lost meanwhile, if it may be the cause."""
    loses_packets = any(
        one.id == "udp-backlog" and one.severity is Severity.LOST for one in findings
    )
    burning = (one for one in findings if one.severity is Severity.CPU)
    cause = next((one for one in burning if (one.cpu_ratio or 0.0) >= least_ratio), None)
    if not loses_packets or cause is None:
        return findings
    return [cause, *(one for one in findings if one is not cause)]
