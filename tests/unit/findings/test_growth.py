from __future__ import annotations

from dataclasses import replace

import pytest

from profiler.findings.growth import grown, growth
from profiler.model.finding import Finding, Severity
from profiler.model.links import LinkProfile, LinkUse
from profiler.model.profile import Chain, ContainerUse, Profile
from profiler.model.recording import Accounting, Sample
from profiler.model.search import Search
from profiler.model.subject import Subject
from profiler.model.time_line import ContainerSizes, TimeLine
from tests.example_times import SECOND_NS, START_NS
from tests.examples import empty, looked_up, looking_up

STEADY = (50, 48, 50)  # samples in each third of the window
LONG_S = 303


def short(start: int | None, end: int, name: str = "things") -> ContainerUse:
    """Return a container of short chains whose lookups take no time."""
    site = looking_up(Search.KEY, 1, lookups=10)
    use = looked_up(site, elements_start=start, elements_end=end, name=name)
    return replace(use, chain=Chain(1.0, 2, 3))


LONG_CHAINS = replace(short(6_000, 7_200), chain=Chain(50.0, 60, 70))
TAKES_TIME = replace(short(6_000, 7_200), estimated_duration_ns=1.52e9)
ALMOST = replace(short(6_000, 7_200), chain=Chain(49.9, 60, 70), estimated_duration_ns=1.51e9)


def under_load(*thirds: int, seconds: int = LONG_S) -> Profile:
    """Return a run with so many samples in each third."""
    samples = tuple(
        Sample(START_NS + third * seconds // 3 * SECOND_NS + number, 1, 0)
        for third, count in enumerate(thirds)
        for number in range(count)
    )
    known = empty()
    window = replace(known.window, end_ns=START_NS + seconds * SECOND_NS)
    return replace(known, samples=samples, window=window)


def found(
    *containers: ContainerUse, profile: Profile | None = None, until_ratio: float = 1.0
) -> list[Finding]:
    """Return what is found where containers grow evenly, and no more from `until_ratio` on."""
    profile = profile or under_load()
    seconds = round(profile.window.duration_s)
    times = range(1, seconds + 1)
    line = TimeLine(
        tuple(START_NS + time * SECOND_NS for time in times),
        containers=tuple(
            ContainerSizes(
                at, tuple(size_at(one, min(time / seconds / until_ratio, 1)) for time in times)
            )
            for at, one in enumerate(containers)
        ),
    )
    return list(growth(replace(profile, containers=containers, time_line=line)))


def size_at(container: ContainerUse, share: float) -> int | None:
    start, end = container.elements_start, container.elements_end
    return None if start is None or end is None else round(start + min(share, 1) * (end - start))


def test_growth_needs_ten_and_one_per_cent() -> None:
    assert [grown(short(start, 7_000)) for start in (6_930, 6_931, None)] == [70, None, None]
    assert [grown(short(0, end)) for end in (9, 10)] == [None, 10]
    assert found(short(6_931, 7_000)) == []


def test_what_grows_to_the_end_is_a_note() -> None:
    (finding,) = found(short(6_000, 7_200))
    assert (finding.id, finding.severity) == ("growth", Severity.NOTE)
    assert finding.title == "things: grows by 238 entries a minute without limit"
    assert finding.evidence == ("6,000 to 7,200, as fast at the end of 302 s as before",)
    assert finding.subject == Subject(containers=(short(0, 10).address,))


def test_what_costs_nothing_yet_is_not_found_in_a_short_run() -> None:
    assert found(short(6_000, 7_200), profile=under_load(*STEADY, seconds=60)) == []
    assert found(LONG_CHAINS, profile=under_load(seconds=60)) == []
    assert len(found(LONG_CHAINS, profile=under_load(*STEADY, seconds=60))) == 1


def test_who_links_most_is_named() -> None:
    uses = (LinkUse(1, ("g",), 99), LinkUse(0, ("f", "main"), 6), LinkUse(0, ("h",), 2))
    links = LinkProfile(uses, 0.1, Accounting())
    (finding,) = found(short(6_000, 7_200), short(0, 1), profile=replace(under_load(), links=links))
    assert finding.evidence[1:] == ("linked by f <- main (75 % of 8 links that were seen)",)
    (finding,) = found(
        short(0, 9_000, "a"), short(0, 8_000, "b"), profile=replace(under_load(), links=links)
    )
    assert [text for text in finding.evidence if text.startswith("linked")] == [
        "linked by f <- main (75 % of 8 links that were seen)",
        "linked by g (100 % of 99 links that were seen)",
    ]


def test_the_advice_is_the_command_that_says_who_keeps_them() -> None:
    (finding,) = found(short(6_000, 7_200))
    assert "sudo ebpf-prof leaks -p 4711 -d 10m" in finding.advice


def test_what_becomes_level_is_not_found() -> None:
    assert found(short(0, 9_000), until_ratio=0.8) == []


def test_what_nobody_followed_is_not_found() -> None:
    profile = replace(under_load(), containers=(short(0, 9_000),))
    assert list(growth(profile)) == []


def test_all_that_grow_are_one_note_also_those_that_cost() -> None:
    others = (short(0, 10_000 + number, f"c{number}") for number in range(6))
    (finding,) = found(LONG_CHAINS, TAKES_TIME, *others)
    assert finding.severity is Severity.NOTE
    assert finding.title == "c5 and 7 more: grow by up to 1,981 entries a minute without limit"
    assert finding.evidence[0] == (
        "c5: 1,981 a minute, 0 to 10,005, as fast at the end of 302 s as before"
    )
    assert finding.evidence[2:] == ("and 6 more: see GROWTH",)


def test_what_grows_and_costs_while_the_load_does_not_rise_is_no_note() -> None:
    steady = under_load(*STEADY)
    worse, note = found(LONG_CHAINS, TAKES_TIME, ALMOST, profile=steady)
    assert (worse.severity, note.severity) == (Severity.GROWING, Severity.NOTE)
    assert worse.title.startswith("things and 1 more: grow by up to 238 entries a minute")
    assert note.title == "things: grows by 238 entries a minute without limit"


@pytest.mark.parametrize(
    ("thirds", "severities"),
    [
        ((50, 0, 50), [Severity.GROWING]),
        ((50, 0, 49), [Severity.NOTE]),  # too few to say
        ((100, 90, 40), [Severity.GROWING]),
        ((100, 0, 146), [Severity.GROWING]),  # 46 is within three deviations of 246
        ((100, 0, 149), []),
        ((4_000, 0, 4_400), [Severity.GROWING]),
        ((4_000, 0, 4_401), []),
    ],
)
def test_load_that_rises_explains_growth(
    thirds: tuple[int, ...], severities: list[Severity]
) -> None:
    profile = under_load(*thirds)
    assert [one.severity for one in found(LONG_CHAINS, profile=profile)] == severities


def test_nothing_grows_in_nothing() -> None:
    assert found() == []
