"""What an operator should know about a profile, worst first. Pure: rules over numbers.

Each rule names its evidence, so that nobody has to believe it. The thresholds below only decide
what is worth a line.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

from profiler.model.profile import CallSiteUse, ContainerUse, Finding, Profile, Search

_LEAST_CPU_RATIO = 0.005  # below half a per cent of one CPU a container is no problem
_LONG_CHAIN = 50  # comparisons; a well-sized hash container needs a few
_WANTED_CHAIN = 5
_SCAN_COMPARISONS = 50
_MISS_RATIO = 0.9
_GROWTH_RATIO = 0.01
_LEAST_GROWTH = 10
_BUSY_RATIO = 0.8
_WAITING_RATIO = 0.2
_QUEUE_BYTES = 100_000
_TIMED_WELL = 2  # times the resolution: so long are lookups whose time is known well

Rule = Callable[[Profile], Iterator[Finding]]


def find(profile: Profile) -> tuple[Finding, ...]:
    """Return the findings, worst first; ranks count from 1."""
    found = [finding for rule in _RULES for finding in rule(profile)]
    found.sort(key=lambda finding: (-(finding.cpu_ratio or 0.0), finding.id, finding.title))
    return tuple(
        Finding(f.id, rank, f.title, f.evidence, f.cpu_ratio, f.advice)
        for rank, f in enumerate(found, 1)
    )


def _long_chains(profile: Profile) -> Iterator[Finding]:
    for container in profile.containers:
        keyed = [
            site for site in container.call_sites if site.search in (Search.KEY, Search.OBJECT)
        ]
        worst = max((site.comparisons.p50 or 0 for site in keyed), default=0)
        ratio = _cpu_ratio(profile, container)
        if worst < _LONG_CHAIN or container.kind != "hash" or ratio < _LEAST_CPU_RATIO:
            continue
        elements, buckets = container.elements_end or 0, container.buckets or 1
        yield Finding(
            id="long-chain",
            rank=0,
            title=f"{_label(container)}: a lookup compares {worst:,} entries",
            evidence=(
                f"{elements:,} elements in {buckets:,} buckets, {elements / buckets:,.0f} each",
                f"{_rate(profile, container)} lookups per second, p99 "
                f"{container.comparisons.p99 or 0:,} comparisons",
                *_time_doubt(profile, keyed),
                *_places(keyed),
            ),
            cpu_ratio=ratio,
            advice=_bucket_advice(container, elements, buckets),
        )


def _bucket_advice(container: ContainerUse, elements: int, buckets: int) -> str:
    wanted = next_prime(max(elements // _WANTED_CHAIN, 2))
    growth = (container.elements_end or 0) - (container.elements_start or 0)
    if growth >= _LEAST_GROWTH:  # fewer come and go with the load
        return "find out who links objects and never unlinks them; until then it gets slower"
    if wanted <= buckets:
        return "the hash function spreads these keys badly: look at the chain lengths"
    return (
        f"remove objects that should not be there; if all are wanted, {wanted:,} buckets would "
        f"make a chain of {_WANTED_CHAIN}"
    )


def _scans(profile: Profile) -> Iterator[Finding]:
    for container in profile.containers:
        scans = [
            site
            for site in container.call_sites
            if site.search in (Search.SCAN, Search.PARTIAL) or container.kind == "list"
        ]
        heavy = [site for site in scans if (site.comparisons.p50 or 0) >= _SCAN_COMPARISONS]
        cost = sum(_site_ns(site) for site in heavy) / _window_ns(profile)
        if not heavy or cost < _LEAST_CPU_RATIO:
            continue
        worst = max(heavy, key=_site_ns)
        yield Finding(
            id="full-scan",
            rank=0,
            title=(
                f"{_label(container)}: a search visits {worst.comparisons.p50:,} entries one by one"
            ),
            evidence=(
                f"{container.elements_end or 0:,} elements; no key is used, so buckets do not help",
                *_time_doubt(profile, heavy),
                *_places(heavy),
            ),
            cpu_ratio=cost,
            advice="the call site walks the container by design: it needs a keyed lookup instead",
        )


def _misses(profile: Profile) -> Iterator[Finding]:
    for container in profile.containers:
        # A search without a key visits all entries when it matches some, too, and may not want to.
        keyed = [
            site
            for site in container.call_sites
            if site.search is not Search.SCAN and site.hit_ratio is not None
        ]
        asked = sum(site.total_or_bound for site in keyed)
        missed = sum(site.total_or_bound * (1 - (site.hit_ratio or 0.0)) for site in keyed)
        ratio = sum(map(_site_ns, keyed)) / _window_ns(profile)
        if not asked or missed < _MISS_RATIO * asked or ratio < _LEAST_CPU_RATIO:
            continue
        if max(site.comparisons.p50 or 0 for site in keyed) < _LONG_CHAIN:
            continue
        yield Finding(
            id="misses",
            rank=0,
            title=f"{_label(container)}: {missed / asked:.0%} of the lookups by key find nothing",
            evidence=(
                "a miss compares its whole chain",
                *_time_doubt(profile, keyed),
                *_places(keyed),
            ),
            cpu_ratio=ratio,
            advice="expected where names are checked before they are created; else see who asks",
        )


def _growth(profile: Profile) -> Iterator[Finding]:
    minutes = _window_ns(profile) / 60e9
    for container in profile.containers:
        start, end = container.elements_start, container.elements_end
        if start is None or end is None:
            continue
        grown = end - start
        if grown < max(_LEAST_GROWTH, _GROWTH_RATIO * start):
            continue
        yield Finding(
            id="growth",
            rank=0,
            title=f"{_label(container)}: grew by {grown:,} elements",
            evidence=(f"{start:,} to {end:,}, {grown / minutes:,.0f} per minute",),
            cpu_ratio=None,
            advice="normal while load rises; run again later, and compare with `ebpf-prof diff`",
        )


def _busy_threads(profile: Profile) -> Iterator[Finding]:
    for thread in profile.threads:
        label = f"thread {thread.tid} {thread.role or thread.name}"
        if thread.cpu_ratio >= _BUSY_RATIO:
            yield Finding(
                id="busy-thread",
                rank=0,
                title=f"{label}: uses {thread.cpu_ratio:.0%} of a CPU",
                evidence=(f"{thread.samples:,} samples",),
                cpu_ratio=thread.cpu_ratio,
                advice="whatever waits for this thread waits for its work: see its flame graph",
            )
        elif (thread.run_delay_ratio or 0) >= _WAITING_RATIO:
            yield Finding(
                id="waiting-thread",
                rank=0,
                title=f"{label}: waited for a CPU {thread.run_delay_ratio:.0%} of the time",
                evidence=(f"it used {thread.cpu_ratio:.0%} of a CPU",),
                cpu_ratio=None,
                advice="others hold the CPUs: see the hot threads, and top(1); or a quota of its "
                "container is used up: see throttling in its cgroup's cpu.stat",
            )


def _sockets(profile: Profile) -> Iterator[Finding]:
    for socket in profile.sockets:
        if not socket.drops and socket.receive_queue_bytes_max < _QUEUE_BYTES:
            continue
        yield Finding(
            id="udp-backlog",
            rank=0,
            title=f"UDP {socket.local}: packets wait, {socket.drops:,} were dropped",
            evidence=(f"receive queue up to {socket.receive_queue_bytes_max:,} bytes",),
            cpu_ratio=None,
            advice="the thread that reads this socket does not keep up: see the hot threads",
        )


_RULES: tuple[Rule, ...] = (_long_chains, _scans, _misses, _growth, _busy_threads, _sockets)


def _label(container: ContainerUse) -> str:
    return container.name or f"{container.kind} at {container.address:#x}"


def _window_ns(profile: Profile) -> int:
    return max(profile.window.end_ns - profile.window.start_ns, 1)


def _cpu_ratio(profile: Profile, container: ContainerUse) -> float:
    return container.estimated_duration_ns / _window_ns(profile)


def _rate(profile: Profile, container: ContainerUse) -> str:
    words = "at least " if container.lookups.estimated_total is None else ""
    rate = container.lookups.total_or_bound / (_window_ns(profile) / 1e9)
    return f"{words}{rate:,.0f}"


def _site_ns(site: CallSiteUse) -> float:
    return site.total_or_bound * (site.duration_ns.mean or 0.0)


def _time_doubt(profile: Profile, sites: Sequence[CallSiteUse]) -> Iterator[str]:
    """Say so where lookups are so short that their time or number is known roughly."""
    if any(site.estimated_total is None for site in sites):
        yield "measuring slows these lookups much: their number is a lower bound, the share rough"
    lookups = sum(site.total_or_bound for site in sites)
    resolution_ns = profile.cost.resolution_ns
    if sum(map(_site_ns, sites)) < _TIMED_WELL * resolution_ns * lookups:
        yield (
            f"a lookup takes hardly more than the {resolution_ns / 1000:.3g} us that can be told "
            "from none: the share is rough"
        )


def _places(sites: Sequence[CallSiteUse]) -> Iterator[str]:
    ranked = sorted(sites, key=_site_ns, reverse=True)
    for site in ranked[:2]:
        place = f"{site.file}:{site.line} " if site.file else ""
        yield f"called from {place}{site.function}"


def next_prime(least: int) -> int:
    """Return the smallest prime number that is not below `least`."""
    number = max(least, 2)
    while any(number % divisor == 0 for divisor in range(2, math.isqrt(number) + 1)):
        number += 1
    return number
