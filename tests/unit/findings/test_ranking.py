from __future__ import annotations

from dataclasses import replace

from profiler.findings.ranking import find
from profiler.model.profile import Chain, Search, Severity, Thread
from profiler.model.recording import Socket
from tests.examples import empty, looked_up, looking_up, with_threads


def test_nothing_is_found_in_nothing() -> None:
    assert find(empty()) == ()


LOSING = (Socket("0.0.0.0:5060", 0, 0.0, 1),)


def test_lost_calls_come_before_cpu_time_before_waiting_before_growth() -> None:
    small = looking_up(Search.KEY, 1, lookups=10)
    warming = replace(looked_up(small, name="warming", elements_start=1), chain=Chain(1, 2, 3))
    growing = replace(looked_up(small, name="growing", elements_start=1), chain=Chain(60, 70, 80))
    burning = looked_up(looking_up(Search.KEY, 1_000), name="burning")
    profile = with_threads(empty(), Thread(1, "asterisk", "waits", 0.1, 0.5, 10))
    findings = find(replace(profile, containers=(warming, growing, burning), sockets=LOSING))
    assert [finding.severity for finding in findings] == [
        Severity.LOST,
        Severity.CPU,
        Severity.WAITING,
        Severity.GROWING,
        Severity.NOTE,
    ]
    assert [finding.rank for finding in findings] == [1, 2, 3, 4, 5]


def test_what_may_be_the_cause_of_lost_packets_comes_before_them() -> None:
    def ids(cpu_ratio: float, lookups: float) -> list[str]:
        profile = with_threads(empty(), Thread(1, "asterisk", "burns", cpu_ratio, 0.0, 90))
        burning = looked_up(looking_up(Search.KEY, 1_000, lookups))
        findings = find(replace(profile, containers=(burning,), sockets=LOSING))
        return [finding.id for finding in findings]

    assert ids(0.9, 1_000) == ["busy-thread", "udp-backlog", "long-chain"]
    assert ids(0.9, 91_000) == ["long-chain", "udp-backlog", "busy-thread"]
    assert ids(0.7, 36_000) == ["long-chain", "udp-backlog"]
    assert ids(0.7, 34_000) == ["udp-backlog", "long-chain"]
    assert ids(0.1, 11_000) == ["long-chain", "udp-backlog"]
    assert ids(0.1, 9_000) == ["udp-backlog", "long-chain"]


def test_of_one_severity_what_takes_more_comes_first() -> None:
    expensive = looked_up(looking_up(Search.KEY, 1_000, lookups=9_000), name="expensive")
    cheap = looked_up(looking_up(Search.KEY, 1_000), name="cheap")
    findings = find(replace(empty(), containers=(cheap, expensive)))
    assert [finding.title.partition(":")[0] for finding in findings] == ["expensive", "cheap"]


def test_what_takes_half_of_a_busy_thread_comes_before_it() -> None:
    def ids(lookups: float) -> list[str]:
        profile = with_threads(empty(), Thread(1, "asterisk", "burns", 0.9, 0.0, 90))
        burning = looked_up(looking_up(Search.KEY, 1_000, lookups))
        return [finding.id for finding in find(replace(profile, containers=(burning,)))]

    assert ids(46_000) == ["long-chain", "busy-thread"]
    assert ids(44_000) == ["busy-thread", "long-chain"]
