from __future__ import annotations

from dataclasses import replace

from profiler.findings.children import children
from profiler.model.finding import Finding, Severity
from profiler.model.profile import ChildProcesses, ChildrenUse, Thread
from tests.examples import empty, with_threads

SEEN = (ChildProcesses("sox", 12, 0.4), ChildProcesses("sh", 12, 0.0))


def found(target_ratio: float, children_ratio: float, *seen: ChildProcesses) -> list[Finding]:
    profile = with_threads(empty(), Thread(1, "asterisk", None, target_ratio, 0.0, 10))
    return list(children(replace(profile, children=ChildrenUse(children_ratio, seen))))


def test_children_that_use_more_than_their_parent() -> None:
    (finding,) = found(0.3, 0.5, *SEEN)
    assert (finding.id, finding.severity, finding.cpu_ratio) == ("children", Severity.CPU, 0.5)
    assert finding.title == "processes that Asterisk started use 50 % of a CPU, itself 30 %"
    assert finding.evidence == ("12 x sox 40 %",)


def test_children_that_nobody_saw() -> None:
    (finding,) = found(0.0, 0.05)
    assert finding.evidence == ("each ended too soon to be seen",)


def test_children_that_use_less_or_little() -> None:
    assert found(0.5, 0.5, *SEEN) == []
    assert found(0.0, 0.049) == []
    assert list(children(empty())) == []
