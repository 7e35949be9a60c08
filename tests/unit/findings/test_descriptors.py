from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.findings.descriptors import descriptors
from profiler.model.finding import Finding, Severity
from profiler.model.recording import Descriptors
from tests.examples import empty


def found(open_max: int) -> list[Finding]:
    return list(descriptors(replace(empty(), descriptors=Descriptors(open_max, 1_000))))


@pytest.mark.parametrize(
    ("open_max", "severity", "evidence"),
    [
        (900, Severity.WAITING, "90 %; at the limit new calls fail"),
        (989, Severity.WAITING, "99 %; at the limit new calls fail"),
        (990, Severity.LOST, "new calls, connections and files fail"),
        (1_000, Severity.LOST, "new calls, connections and files fail"),
    ],
)
def test_descriptors_near_the_limit(open_max: int, severity: Severity, evidence: str) -> None:
    (finding,) = found(open_max)
    assert (finding.id, finding.severity) == ("descriptors", severity)
    assert finding.title == f"{open_max:,} of 1,000 descriptors are open"
    assert finding.evidence == (evidence,)
    assert finding.advice.endswith("ls -l /proc/4711/fd")


def test_descriptors_below_are_nothing() -> None:
    assert found(899) == []
    assert list(descriptors(empty())) == []
