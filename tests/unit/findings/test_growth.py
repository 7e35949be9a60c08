from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.findings.growth import grown, growth
from profiler.model.finding import Finding, Severity
from profiler.model.profile import Chain, ContainerUse, Profile
from profiler.model.recording import Sample
from profiler.model.search import Search
from profiler.model.subject import Subject
from tests.example_times import SECOND_NS, START_NS
from tests.examples import empty, looked_up, looking_up

STEADY = (50, 48, 50)  # samples in each third of the window


def short(start: int | None, end: int, name: str = "things") -> ContainerUse:
    """Return a container of short chains whose lookups take no time."""
    site = looking_up(Search.KEY, 1, lookups=10)
    use = looked_up(site, elements_start=start, elements_end=end, name=name)
    return replace(use, chain=Chain(1.0, 2, 3))


LONG_CHAINS = replace(short(6_930, 7_000), chain=Chain(50.0, 60, 70))
TAKES_TIME = replace(short(6_930, 7_000), estimated_duration_ns=4.5e7)
ALMOST = replace(short(6_930, 7_000), chain=Chain(49.9, 60, 70), estimated_duration_ns=4.4e7)


def under_load(*thirds: int) -> Profile:
    """Return a run of 9 s with so many samples in each third."""
    samples = tuple(
        Sample(START_NS + third * 3 * SECOND_NS + number, 1, 0)
        for third, count in enumerate(thirds)
        for number in range(count)
    )
    known = empty()
    window = replace(known.window, end_ns=START_NS + 9 * SECOND_NS)
    return replace(known, samples=samples, window=window)


def found(*containers: ContainerUse, profile: Profile | None = None) -> list[Finding]:
    return list(growth(replace(profile or empty(), containers=containers)))


def test_growth_needs_ten_and_one_per_cent() -> None:
    assert [grown(short(start, 7_000)) for start in (6_930, 6_931, None)] == [70, None, None]
    assert [grown(short(0, end)) for end in (9, 10)] == [None, 10]
    assert found(short(6_931, 7_000)) == []


def test_what_grows_is_a_note() -> None:
    (finding,) = found(short(6_930, 7_000))
    assert (finding.id, finding.severity) == ("growth", Severity.NOTE)
    assert finding.title == "things: grew by 70 entries"
    assert finding.evidence == ("6,930 to 7,000, 420 per minute",)
    assert finding.subject == Subject(containers=(short(0, 10).address,))


def test_all_that_grow_are_one_note_also_those_that_cost() -> None:
    others = (short(0, 100 + number, f"c{number}") for number in range(6))
    (finding,) = found(LONG_CHAINS, TAKES_TIME, *others)
    assert finding.severity is Severity.NOTE
    assert finding.title == "8 containers grew in 10 s"
    assert finding.evidence[0] == "c5: 0 to 105, 630 per minute"
    assert finding.evidence[2:] == ("and 6 more: see GROWTH",)


def test_what_grows_and_costs_while_the_load_does_not_rise_is_no_note() -> None:
    steady = under_load(*STEADY)
    worse, note = found(LONG_CHAINS, TAKES_TIME, ALMOST, profile=steady)
    assert (worse.severity, note.severity) == (Severity.GROWING, Severity.NOTE)
    assert worse.title == "2 containers grew in 9 s while the load did not rise"
    assert note.title == "things: grew by 70 entries"
    assert worse.advice != note.advice


@pytest.mark.parametrize(
    ("thirds", "severity"),
    [
        ((50, 0, 50), Severity.GROWING),
        ((50, 0, 49), Severity.NOTE),  # too few to say
        ((100, 90, 40), Severity.GROWING),
        ((100, 0, 146), Severity.GROWING),  # 46 is within three deviations of 246
        ((100, 0, 149), Severity.NOTE),
        ((4_000, 0, 4_400), Severity.GROWING),
        ((4_000, 0, 4_401), Severity.NOTE),
    ],
)
def test_load_rises_by_more_than_chance_explains(
    thirds: tuple[int, ...], severity: Severity
) -> None:
    (finding,) = found(LONG_CHAINS, profile=under_load(*thirds))
    assert finding.severity is severity


def test_nothing_grows_in_nothing() -> None:
    assert found() == []
