from __future__ import annotations

from dataclasses import replace

from profiler.findings.growth import grown, growth
from profiler.model.profile import Chain, ContainerUse, Finding, Search, Severity
from tests.examples import empty, looked_up, looking_up


def short(start: int | None, end: int, name: str = "things") -> ContainerUse:
    """Return a container of short chains whose lookups take no time."""
    site = looking_up(Search.KEY, 1, lookups=10)
    use = looked_up(site, elements_start=start, elements_end=end, name=name)
    return replace(use, chain=Chain(1.0, 2, 3))


def found(*containers: ContainerUse) -> list[Finding]:
    return list(growth(replace(empty(), containers=containers)))


def test_growth_needs_ten_and_one_per_cent() -> None:
    assert [grown(short(start, 7_000)) for start in (6_930, 6_931, None)] == [70, None, None]
    assert [grown(short(0, end)) for end in (9, 10)] == [None, 10]
    assert found(short(6_931, 7_000)) == []


def test_what_grows_at_no_cost_is_a_note() -> None:
    (finding,) = found(short(6_930, 7_000))
    assert (finding.id, finding.severity) == ("growth", Severity.NOTE)
    assert finding.title == "things: grew by 70 entries"
    assert finding.evidence == ("6,930 to 7,000, 420 per minute",)


def test_several_that_grow_at_no_cost_are_one_note() -> None:
    (finding,) = found(*(short(0, 100 + number, f"c{number}") for number in range(6)))
    assert finding.severity is Severity.NOTE
    assert finding.title == "6 containers grew in 10 s; their lookups cost next to nothing"
    assert finding.evidence[0] == "c5: 0 to 105, 630 per minute"
    assert finding.evidence[2:] == ("and 4 more: see GROWTH",)


def test_what_has_long_chains_or_takes_time_is_no_note() -> None:
    long_chains = replace(short(6_930, 7_000), chain=Chain(50.0, 60, 70))
    takes_time = replace(short(6_930, 7_000), estimated_duration_ns=5e7)
    almost = replace(short(6_930, 7_000), chain=Chain(49.9, 60, 70), estimated_duration_ns=4.9e7)
    severities = [finding.severity for finding in found(long_chains, takes_time, almost)]
    assert severities == [Severity.GROWING, Severity.GROWING, Severity.NOTE]


def test_nothing_grows_in_nothing() -> None:
    assert found() == []
