from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.findings.lookups import explained_places, lookups, next_prime
from profiler.model.finding import Finding
from profiler.model.profile import CallSiteUse, ContainerUse, Profile, Thread
from profiler.model.recording import Sample
from profiler.model.search import Search
from profiler.model.subject import Subject
from tests.examples import empty
from tests.examples import looked_up as container
from tests.examples import looking_up as site


def found(*containers: ContainerUse, **changes: object) -> list[Finding]:
    profile: Profile = replace(empty(), containers=containers)
    findings = lookups(replace(profile, **changes))  # type: ignore[arg-type]
    return sorted(findings, key=lambda finding: -(finding.cpu_ratio or 0.0))


def ids(findings: list[Finding]) -> list[str]:
    return [finding.id for finding in findings]


def test_a_long_chain() -> None:
    things = container(site(Search.KEY, 1_000))
    (finding,) = found(things)
    assert finding.id == "long-chain"
    assert finding.subject == Subject((things.address,), ("main.c:7 asks",))
    assert finding.title == (
        "things: a typical lookup walks 1,000 entries; "
        "threads spent about 0.1 s in these lookups within 10 s, lock waits included"
    )
    assert finding.evidence[0] == "7,000 entries in 7 buckets, 1,000 each"
    assert "called from main.c:7 asks" in finding.evidence
    assert finding.cpu_ratio == pytest.approx(0.01)
    assert finding.advice == (
        "Look for a leak. If all 7,000 are needed, about 1,409 buckets bring chains down to 5."
    )


def test_the_time_of_short_lookups_is_said_to_be_rough() -> None:
    def is_rough(mean_ns: float) -> bool:
        use = site(Search.KEY, 1_000, lookups=1_000_000)
        use = replace(use, duration_ns=replace(use.duration_ns, mean=mean_ns))
        cost = replace(empty().cost, resolution_ns=1_024)
        (finding,) = found(container(use), cost=cost)
        is_doubted = any(line.startswith("their time is rough") for line in finding.evidence)
        assert is_doubted != ("threads spent" in finding.title)
        return is_doubted

    assert is_rough(2_000.0)
    assert not is_rough(2_100.0)


def sampled(samples: int, mean_ns: int = 100_000) -> list[Finding]:
    """Return what is found where 1,000 samples were taken, and as many in long lookups.

    Threads used 0.3 of a CPU. Of 1,000 lookups, 10 us are 0.1 % of the window.
    """
    profile = replace(
        empty(),
        samples=tuple(Sample(at, 1, 0) for at in range(1_000)),
        threads=(Thread(1, "asterisk", None, 0.3, None, 1_000),),
    )
    used = replace(site(Search.KEY, 1_000, mean_ns=mean_ns), cpu=profile.cpu_share(samples))
    return list(lookups(replace(profile, containers=(container(used),))))


def test_samples_tell_what_lookups_cost() -> None:
    (finding,) = sampled(700)
    assert finding.title == (
        "things: a typical lookup walks 1,000 entries; these lookups use 21 % of a CPU"
    )
    assert "20 to 22 % of a CPU (700 of 1,000 samples)" in finding.evidence
    assert finding.cpu_ratio == pytest.approx(0.21)


def test_few_samples_have_a_wide_error() -> None:
    (finding,) = sampled(20)
    assert "0.4 to 0.9 % of a CPU (20 of 1,000 samples)" in finding.evidence


def test_threads_that_wait_in_lookups_are_said_to() -> None:
    (finding,) = sampled(700, mean_ns=10_000_000)  # as long as the window
    assert finding.title.endswith(
        "threads spent about 10 s in these lookups within 10 s, lock waits included"
    )
    assert "20 to 22 % of a CPU (700 of 1,000 samples)" in finding.evidence
    assert finding.cpu_ratio == pytest.approx(0.21)


def test_what_neither_runs_nor_waits_is_no_finding() -> None:
    assert sampled(0, mean_ns=10_000) == []
    (finding,) = sampled(0, mean_ns=1_000_000)  # waits
    assert "threads spent about 1 s" in finding.title


def test_lookups_that_are_shared_with_other_containers_say_so() -> None:
    profile = replace(empty(), samples=(Sample(0, 1, 0),))
    cpu = replace(profile.cpu_share(1), ratio=0.1, is_divided=True)
    use = container(replace(site(Search.KEY, 1_000), cpu=cpu))
    threads = (Thread(1, "asterisk", None, 0.3, None, 1),)
    (finding,) = lookups(replace(profile, containers=(use,), threads=threads))
    assert any("shared with other containers" in line for line in finding.evidence)


def test_the_places_with_most_samples_come_first() -> None:
    profile = replace(empty(), samples=(Sample(0, 1, 0), Sample(1, 1, 0)))
    threads = (Thread(1, "asterisk", None, 0.3, None, 2),)
    slow = replace(site(Search.KEY, 1_000, mean_ns=200_000), cpu=profile.cpu_share(0))
    hot = replace(site(Search.KEY, 1_000), line=8, cpu=profile.cpu_share(2))
    use = container(slow, hot)
    (finding,) = lookups(replace(profile, containers=(use,), threads=threads))
    assert finding.evidence[2:4] == ("called from main.c:8 asks", "called from main.c:7 asks")


def test_the_places_that_findings_are_about() -> None:
    walks, short = site(Search.KEY, 1_000), replace(site(Search.SCAN, 3), line=8)
    profile = replace(empty(), containers=(container(walks, short),))
    assert explained_places(profile) == {"main.c:7 asks"}


@pytest.mark.parametrize(
    "use",
    [
        container(site(Search.KEY, 49)),
        container(site(Search.KEY, 1_000, lookups=10)),  # too little time to matter
        container(site(Search.KEY, 1_000), kind="rbtree"),
    ],
)
def test_no_long_chain(use: ContainerUse) -> None:
    assert "long-chain" not in ids(found(use))


def test_the_time_is_that_of_the_lookups_by_key_alone() -> None:
    keyed, scans = site(Search.KEY, 1_000), site(Search.SCAN, 7_000, mean_ns=5_000_000)
    findings = found(container(keyed, scans))
    assert ids(findings) == ["full-scan", "long-chain"]
    assert "threads spent about 0.1 s in these lookups" in findings[1].title
    assert findings[1].evidence[1] == "100 lookups per second, p99 1,000 comparisons"
    assert ids(found(container(site(Search.KEY, 1_000, mean_ns=1_000), scans))) == ["full-scan"]


BUCKETS = "If all 7,000 are needed, about 1,409 buckets bring chains down to 5."


@pytest.mark.parametrize(
    ("start", "evidence", "advice"),
    [
        (6_931, "", "Look for a leak. "),
        (None, "", "Look for a leak. "),
        (
            6_930,
            "; +70 in 10 s",
            "It grew: look for code that adds objects and never removes them. ",
        ),
    ],
)
def test_a_long_chain_in_a_container_that_grew(
    start: int | None, evidence: str, advice: str
) -> None:
    (finding,) = found(container(site(Search.KEY, 1_000), elements_start=start))
    assert finding.evidence[0] == f"7,000 entries in 7 buckets, 1,000 each{evidence}"
    assert finding.advice == advice + BUCKETS


@pytest.mark.parametrize("end", [None, 0, 899])
@pytest.mark.parametrize("search", [Search.KEY, Search.SCAN])
def test_a_size_that_cannot_be_is_not_shown(search: Search, end: int | None) -> None:
    (finding,) = found(container(site(search, 1_000), elements_end=end))
    words = f"{finding.evidence} {finding.advice}"
    assert "entries" not in words
    assert " buckets bring" not in words


def test_long_chains_in_enough_buckets_blame_the_hash() -> None:
    use = container(site(Search.KEY, 1_000), buckets=5_003)
    finding = found(use)[0]
    assert finding.evidence[0] == "7,000 entries in 5,003 buckets, 1.4 each"
    assert finding.advice.startswith("The hash function")
    finding = found(replace(use, elements_start=0))[0]
    assert finding.advice.startswith("It grew: ")
    assert "hash function" in finding.advice


@pytest.mark.parametrize(
    ("kind", "search", "why", "advice"),
    [
        ("hash", Search.SCAN, "no key is used, so buckets do not help", "needs a keyed lookup"),
        ("hash", Search.PARTIAL, "a partial key is used, so buckets do not help", "whole key"),
        ("list", Search.SCAN, "no key is used, so buckets do not help", "needs a keyed lookup"),
        ("list", Search.KEY, "a list is one chain, which a key cannot shorten", "hash container"),
        ("list", Search.OBJECT, "a list is one chain, which a key cannot shorten", "hash contain"),
    ],
)
def test_a_scan(kind: str, search: Search, why: str, advice: str) -> None:
    (finding,) = found(container(site(search, 7_000), kind=kind))
    assert finding.id == "full-scan"
    assert finding.title.startswith(
        "things: a typical search visits 7,000 entries one by one; threads "
    )
    assert finding.evidence[0] == f"7,000 entries; {why}"
    assert advice in finding.advice


def misses(*sites: CallSiteUse, kind: str = "hash") -> list[str]:
    """Return what the findings say about lookups that find nothing."""
    shown = (line for finding in found(container(*sites, kind=kind)) for line in finding.evidence)
    return [line for line in shown if "find nothing" in line]


def test_a_long_chain_says_that_most_lookups_find_nothing() -> None:
    asks = replace(site(Search.KEY, 60), hit_ratio=0.05)
    assert misses(asks) == [
        "95 % of the lookups by key find nothing, as where code checks that a name is free"
    ]
    assert misses(replace(asks, hit_ratio=0.11)) == misses(replace(asks, hit_ratio=None)) == []


@pytest.mark.parametrize(
    ("kind", "search", "is_found"),
    [
        ("hash", Search.OBJECT, True),
        ("hash", Search.PARTIAL, False),
        ("hash", Search.UNKNOWN, False),
        ("hash", Search.SCAN, False),
        ("list", Search.KEY, False),
        ("rbtree", Search.KEY, False),
    ],
)
def test_misses_are_of_lookups_in_one_chain_of_many(
    kind: str, search: Search, is_found: bool
) -> None:
    lines = misses(replace(site(search, 60), hit_ratio=0.0), kind=kind)
    assert len(lines) == is_found
    assert all(line.startswith("100 % of the lookups by object ") for line in lines)


def test_call_sites_count_as_often_as_they_ask() -> None:
    missing = replace(site(Search.KEY, 60, lookups=10_000), hit_ratio=0.0)
    assert misses(missing, replace(site(Search.KEY, 60), hit_ratio=1.0))
    assert not misses(missing, site(Search.KEY, 60, lookups=10_000))


def test_a_number_that_nobody_can_know_is_said_to_be_a_bound() -> None:
    asked = replace(site(Search.KEY, 100), estimated_total=None)
    model = container(asked)
    counts = replace(model.lookups, estimated_total=None, estimated_low=500.0)
    (finding,) = found(replace(model, lookups=counts))
    assert finding.evidence[1].startswith("at least ")
    assert "how many is not known, so their time is rough" in finding.evidence[-1]
    assert finding.title == "things: a typical lookup walks 100 entries"


@given(st.integers(0, 5_000))
def test_the_next_prime(least: int) -> None:
    prime = next_prime(least)
    assert prime >= max(least, 2)
    assert all(prime % divisor for divisor in range(2, prime))
    assert not any(
        all(number % divisor for divisor in range(2, number))
        for number in range(max(least, 2), prime)
    )
