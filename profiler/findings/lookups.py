"""Lookups in containers that take much time, and why. Pure.

Each rule names its evidence, so that nobody has to believe it. The thresholds below only decide
what is worth a line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from profiler.findings.growth import grown
from profiler.findings.lookup_cost import LookupCost, lookup_cost
from profiler.findings.wording import cpu_time, percent, place, seconds
from profiler.model.finding import Finding
from profiler.model.profile import CallSiteUse, ContainerUse, Profile
from profiler.model.search import Search
from profiler.model.subject import Subject

_LONG_CHAIN = 50  # comparisons; a well-sized hash container needs a few
_WANTED_CHAIN = 5
# Part of a walked length that must be there: quantiles are up to 1/32 too large, and calls end.
_STILL_THERE = 0.9
_SCAN_COMPARISONS = 50
_MISS_RATIO = 0.9


@dataclass(frozen=True, slots=True)
class _Found:
    """A finding, and the call sites that it is about."""

    finding: Finding
    sites: Sequence[CallSiteUse]


def lookups(profile: Profile) -> Iterator[Finding]:
    """Yield what is found about each container."""
    return (one.finding for one in _found(profile))


def explained_places(profile: Profile) -> frozenset[str]:
    """Return the source places whose lookups these findings explain."""
    return frozenset(place(site) for one in _found(profile) for site in one.sites)


def _found(profile: Profile) -> Iterator[_Found]:
    for container in profile.containers:
        for rule in (_long_chain, _scan):
            if (found := rule(profile, container)) is not None:
                subject = Subject((container.address,), tuple(map(place, found.sites)))
                yield replace(found, finding=replace(found.finding, subject=subject))


def _lookup_finding(
    profile: Profile,
    identifier: str,
    title: str,
    evidence: Sequence[str],
    advice: str,
    sites: Sequence[CallSiteUse],
    cost: LookupCost,
) -> _Found:
    """Return a finding on lookups, with what they cost."""
    if cost.shows_time:
        window_s = profile.window.duration_s
        title += (
            f"; threads spent about {seconds(cost.time_ratio * window_s)} in these lookups within "
            f"{seconds(window_s)}, lock waits included"
        )
    elif cost.cpu is not None:
        title += f"; these lookups use {percent(cost.cpu.ratio)} of a CPU"
    used = (cpu_time(profile, cost.cpu),) if cost.cpu is not None else ()
    shown = (*evidence, *_places(sites), *used, *cost.doubts)
    return _Found(Finding(identifier, 0, title, shown, cost.ratio, advice), sites)


def _long_chain(profile: Profile, container: ContainerUse) -> _Found | None:
    keyed = _keyed(container)
    longest = max(keyed, key=_typical, default=None)
    cost = lookup_cost(profile, keyed)
    if longest is None or _typical(longest) < _LONG_CHAIN or not cost.is_much:
        return None
    walked = _typical(longest)
    bound = "at least " if any(site.estimated_total is None for site in keyed) else ""
    lookups = sum(site.total_or_bound for site in keyed) / profile.window.duration_s
    return _lookup_finding(
        profile,
        "long-chain",
        f"{container.label}: a typical lookup walks {walked:,} entries",
        (
            *_sizes(profile, container, walked),
            f"{bound}{lookups:,.0f} lookups per second, "
            f"p99 {longest.comparisons.p99 or 0:,} comparisons",
            *_misses(keyed),
        ),
        _bucket_advice(container, walked),
        keyed,
        cost,
    )


def _keyed(container: ContainerUse) -> list[CallSiteUse]:
    """Return the call sites whose lookups walk one chain of a hash container."""
    if container.kind != "hash":
        return []
    return [site for site in container.call_sites if site.search in (Search.KEY, Search.OBJECT)]


def _typical(site: CallSiteUse) -> int:
    return site.comparisons.p50 or 0


def _size(container: ContainerUse, walked: int) -> int | None:
    """Return the elements at the end; None if it was gone or emptied since lookups walked it."""
    elements = container.elements_end
    return None if elements is None or elements < _STILL_THERE * walked else elements


def _sizes(profile: Profile, container: ContainerUse, walked: int) -> Iterator[str]:
    elements, buckets = _size(container, walked), container.buckets or 1
    if elements is None:
        return
    each = elements / buckets
    more = grown(container)
    yield (
        f"{elements:,} entries in {buckets:,} buckets, {each:,.{0 if each >= 10 else 1}f} each"
        + (f"; {more:+,} in {seconds(profile.window.duration_s)}" if more else "")
    )


def _bucket_advice(container: ContainerUse, walked: int) -> str:
    elements, buckets = _size(container, walked), container.buckets or 1
    if elements is None:
        return "How much it held is not known: at the end it was gone or emptied. See who calls."
    wanted = next_prime(max(elements // _WANTED_CHAIN, 2))
    leak = (
        "It grew: look for code that adds objects and never removes them."
        if grown(container)
        else "Look for a leak."
    )
    if wanted > buckets:
        return (
            f"{leak} If all {elements:,} are needed, about {wanted:,} buckets bring chains down to "
            f"{_WANTED_CHAIN}."
        )
    hashing = "The hash function spreads these keys badly: look at the chain lengths."
    return f"{leak} {hashing}" if grown(container) else hashing


def _scan(profile: Profile, container: ContainerUse) -> _Found | None:
    heavy = [
        site
        for site in container.call_sites
        if site.search in (Search.SCAN, Search.PARTIAL) or container.kind == "list"
        if _typical(site) >= _SCAN_COMPARISONS
    ]
    cost = lookup_cost(profile, heavy)
    if not heavy or not cost.is_much:
        return None
    worst = max(heavy, key=lambda site: site.estimated_duration_ns)
    elements = _size(container, _typical(worst))
    why, advice = _scan_words(worst)
    return _lookup_finding(
        profile,
        "full-scan",
        f"{container.label}: a typical search visits {_typical(worst):,} entries one by one",
        (why if elements is None else f"{elements:,} entries; {why}",),
        advice,
        heavy,
        cost,
    )


def _scan_words(site: CallSiteUse) -> tuple[str, str]:
    """Return why a search visits so many entries, and what helps."""
    by_design = "The call site walks the container by design: it needs a"
    if site.search is Search.SCAN:
        return "no key is used, so buckets do not help", f"{by_design} keyed lookup instead."
    if site.search is Search.PARTIAL:
        return (
            "a partial key is used, so buckets do not help",
            f"{by_design} lookup by the whole key instead.",
        )
    return (
        "a list is one chain, which a key cannot shorten",
        "Lookups by key need a hash container in the place of this list.",
    )


def _misses(sites: Sequence[CallSiteUse]) -> Iterator[str]:
    """Say so if most lookups find nothing: each of these walks its whole chain."""
    known = [site for site in sites if site.hit_ratio is not None]
    asked = sum(site.total_or_bound for site in known)
    missed = sum(site.total_or_bound * (1 - (site.hit_ratio or 0.0)) for site in known)
    if asked and missed >= _MISS_RATIO * asked:
        searches = " or ".join(sorted({site.search.value for site in known}))
        yield (
            f"{percent(missed / asked)} of the lookups by {searches} find nothing, as where code "
            "checks that a name is free"
        )


def _places(sites: Sequence[CallSiteUse]) -> Iterator[str]:
    def used(site: CallSiteUse) -> tuple[float, float]:
        return (site.cpu.samples if site.cpu else 0.0, site.estimated_duration_ns)

    ranked = sorted(sites, key=used, reverse=True)
    return (f"called from {place(site)}" for site in ranked[:2])


def next_prime(least: int) -> int:
    """Return the smallest prime number that is not below `least`."""
    number = max(least, 2)
    while any(number % divisor == 0 for divisor in range(2, math.isqrt(number) + 1)):
        number += 1
    return number
