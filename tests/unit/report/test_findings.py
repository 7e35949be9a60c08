from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.model.profile import CallSiteUse, ContainerUse, Finding, Profile, Search, Thread
from profiler.model.recording import Socket
from profiler.report.findings import find, next_prime
from tests.examples import empty, field_story, quantiles


def site(
    search: Search, compared: int, lookups: float = 1_000, mean_ns: int = 100_000
) -> CallSiteUse:
    return CallSiteUse(
        file="main.c",
        line=7,
        function="asks",
        entry="__ao2_find",
        search=search,
        measured=100,
        estimated_total=lookups,
        estimated_low=lookups / 2,
        hit_ratio=0.5,
        comparisons=quantiles({(compared, compared + 1): 100}),
        sort_calls=quantiles({}),
        duration_ns=quantiles({(mean_ns, mean_ns + 1): 100}),
    )


def container(*sites: CallSiteUse, **changes: object) -> ContainerUse:
    model = field_story().containers[0]
    known = replace(
        model,
        kind="hash",
        name="things",
        buckets=7,
        elements_start=7_000,
        elements_end=7_000,
        lookups=replace(model.lookups, hit_ratio=0.5, estimated_total=1_000.0),
        comparisons=sites[0].comparisons,
        estimated_duration_ns=sum(s.total_or_bound * (s.duration_ns.mean or 0) for s in sites),
        call_sites=sites,
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def found(*containers: ContainerUse, **changes: object) -> list[Finding]:
    profile: Profile = replace(empty(), containers=containers)
    return list(find(replace(profile, **changes)))  # type: ignore[arg-type]


def ids(findings: list[Finding]) -> list[str]:
    return [finding.id for finding in findings]


def test_nothing_is_found_in_nothing() -> None:
    assert find(empty()) == ()


def test_a_long_chain() -> None:
    (finding,) = found(container(site(Search.KEY, 1_000)))
    assert (finding.id, finding.rank) == ("long-chain", 1)
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


def test_a_growing_container_gets_no_advice_on_buckets() -> None:
    finding = found(container(site(Search.KEY, 1_000), elements_start=6_990))[0]
    assert "never removes them" in finding.advice
    finding = found(container(site(Search.KEY, 1_000), elements_start=6_991))[0]
    assert "buckets bring chains down" in finding.advice


def test_long_chains_in_enough_buckets_blame_the_hash() -> None:
    finding = found(container(site(Search.KEY, 1_000), buckets=5_003))[0]
    assert "hash function" in finding.advice


@pytest.mark.parametrize("search", [Search.SCAN, Search.PARTIAL])
def test_a_scan(search: Search) -> None:
    (finding,) = found(container(site(search, 7_000)))
    assert finding.id == "full-scan"
    assert finding.title.startswith(
        "things: a typical search visits 7,000 entries one by one; threads "
    )


def test_misses() -> None:
    asks = replace(site(Search.KEY, 60), hit_ratio=0.05)
    (finding,) = found(container(asks))[1:]
    assert finding.id == "misses"
    assert finding.title.startswith("things: 95% of the lookups by key find nothing; threads ")
    assert "misses" not in ids(found(container(replace(asks, hit_ratio=0.11))))


def test_call_sites_count_as_often_as_they_ask() -> None:
    misses = replace(site(Search.KEY, 60, lookups=10_000), hit_ratio=0.0)
    assert "misses" in ids(found(container(misses, replace(site(Search.KEY, 60), hit_ratio=1.0))))
    assert "misses" not in ids(found(container(misses, site(Search.KEY, 60, lookups=10_000))))


def test_a_scan_that_matches_nothing_is_no_miss() -> None:
    assert ids(found(container(replace(site(Search.SCAN, 7_000), hit_ratio=0.0)))) == ["full-scan"]


def test_growth_needs_ten_and_one_per_cent() -> None:
    small = site(Search.KEY, 1)
    assert ids(found(container(small, elements_start=6_930))) == ["growth"]
    assert ids(found(container(small, elements_start=6_931))) == []
    assert ids(found(container(small, elements_start=0, elements_end=9))) == []
    assert ids(found(container(small, elements_start=None))) == []


def test_a_number_that_nobody_can_know_is_said_to_be_a_bound() -> None:
    asked = replace(site(Search.KEY, 100), estimated_total=None)
    model = container(asked)
    counts = replace(model.lookups, estimated_total=None, estimated_low=500.0)
    (finding,) = found(replace(model, lookups=counts))
    assert finding.evidence[1].startswith("at least ")
    assert "there are at least so many, their time is rough" in finding.evidence[2]
    assert finding.title == "things: a typical lookup walks 100 entries"


def test_a_busy_thread() -> None:
    thread = Thread(12, "asterisk", "do_monitor (chan_sip.so)", 0.8, None, 80)
    (finding,) = found(threads=(thread,))
    assert finding.id == "busy-thread"
    assert finding.title == "thread 12 do_monitor (chan_sip.so): uses 80% of a CPU"
    assert found(threads=(replace(thread, cpu_ratio=0.79),)) == []


def test_a_thread_that_waits_for_a_cpu() -> None:
    thread = Thread(12, "asterisk", None, 0.3, 0.2, 30)
    assert ids(found(threads=(thread,))) == ["waiting-thread"]


def test_a_socket_that_drops() -> None:
    calm = Socket("0.0.0.0:5060", 99_999, 10.0, 0)
    assert found(sockets=(calm,)) == []
    assert ids(found(sockets=(replace(calm, drops=1),))) == ["udp-backlog"]
    assert ids(found(sockets=(replace(calm, receive_queue_bytes_max=100_000),))) == ["udp-backlog"]


def test_the_worst_comes_first() -> None:
    expensive = container(site(Search.KEY, 1_000, lookups=9_000), name="expensive")
    cheap = container(site(Search.KEY, 1_000), name="cheap", elements_start=1)
    findings = found(cheap, expensive)
    assert [finding.rank for finding in findings] == [1, 2, 3]
    assert findings[0].title.startswith("expensive: ")
    assert findings[-1].id == "growth"


@given(st.integers(0, 5_000))
def test_the_next_prime(least: int) -> None:
    prime = next_prime(least)
    assert prime >= max(least, 2)
    assert all(prime % divisor for divisor in range(2, prime))
    assert not any(
        all(number % divisor for divisor in range(2, number))
        for number in range(max(least, 2), prime)
    )
