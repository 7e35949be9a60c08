from __future__ import annotations

from dataclasses import replace

from profiler.findings.ranking import find
from profiler.model.finding import Severity
from profiler.model.profile import Chain, NamedStack, Thread
from profiler.model.recording import Sample, Socket
from profiler.model.search import Search
from profiler.model.time_line import ContainerSizes, TimeLine
from tests.example_times import SECOND_NS, START_NS
from tests.examples import empty, looked_up, looking_up, with_threads


def test_nothing_is_found_in_nothing() -> None:
    assert find(empty()) == ()


LOSING = (Socket("0.0.0.0:5060", 0, 0.0, 1),)


def test_the_order_is_that_of_what_it_means_whatever_its_id_or_cost() -> None:
    small = looking_up(Search.KEY, 1, lookups=10)
    warming = replace(looked_up(small, name="warming", elements_start=1), chain=Chain(1, 2, 3))
    growing = replace(looked_up(small, name="growing", elements_start=1), chain=Chain(60, 70, 80))
    burning = looked_up(looking_up(Search.KEY, 1_000, lookups=91_000), name="burning")
    profile = with_threads(
        empty(),
        Thread(1, "asterisk", "waits", 0.1, 0.5, 10),
        Thread(2, "asterisk", "burns", 0.8, 0.0, 80),
    )
    samples = tuple(Sample(START_NS + number * SECOND_NS // 20, 2, 0) for number in range(200))
    profile = replace(profile, samples=samples, stacks=(NamedStack(("main",), 0, None),))
    containers = (warming, growing, burning)
    seconds = range(0, 601, 10)
    line = TimeLine(
        tuple(START_NS + second * SECOND_NS for second in seconds),
        containers=tuple(ContainerSizes(at, tuple(seconds)) for at in (0, 1)),
    )
    profile = replace(profile, time_line=line)
    findings = find(replace(profile, containers=containers, sockets=LOSING * 12_345))
    assert [(finding.id, finding.severity) for finding in findings] == [
        ("udp-backlog", Severity.LOST),
        ("busy-thread", Severity.SATURATED),
        ("long-chain", Severity.CPU),
        ("waiting-thread", Severity.WAITING),
        ("growth", Severity.GROWING),
        ("growth", Severity.NOTE),
    ]
    assert [finding.rank for finding in findings] == [1, 2, 3, 4, 5, 6]


def test_of_one_severity_what_takes_more_comes_first() -> None:
    expensive = looked_up(looking_up(Search.KEY, 1_000, lookups=9_000), name="expensive")
    cheap = looked_up(looking_up(Search.KEY, 1_000), name="cheap")
    findings = find(replace(empty(), containers=(cheap, expensive)))
    assert [finding.title.partition(":")[0] for finding in findings] == ["expensive", "cheap"]
