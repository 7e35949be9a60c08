"""Whoever leaks is named first, with its place, and no healthy type is ever accused.

The histories are generated: ten healthy types that live for 10 ms to 60 s, and one that forgets.
"""

from __future__ import annotations

import pytest

from profiler.model.leaks import LeaksProfile
from profiler.report.leaks.leaks_profile import leaks_profile
from tests.followed_objects import PLACES, SITES, World, record


def report(
    seed: int, duration_s: float, site: str | None = None, share: float = 0, rate: float = 5
) -> LeaksProfile:
    return leaks_profile(record(World(seed, duration_s, rate, site, share)))


def named(profile: LeaksProfile) -> tuple[str, list[str], list[str]]:
    """Return of the first suspect: destructor, functions that take, functions that give back."""
    first = profile.suspects[0]
    taken = [place.split()[1] for place in first.taken_at]
    return first.summary.name, taken, [given.site.split()[1] for given in first.given_back_at]


def expected(site: str) -> tuple[str, list[str], str]:
    taken, given = PLACES[site]
    name = "owner_destroy" if site == "holder" else "leaky_destroy"
    return name, ["leaky_alloc" if site == "birth" else taken], given


@pytest.mark.parametrize("share", [0.05, 0.5])
@pytest.mark.parametrize("seed", range(20))
def test_the_place_that_forgets_is_named_first(seed: int, share: float) -> None:
    site = SITES[seed % len(SITES)]
    profile = report(seed, 120, site, share, rate=20 if share < 0.1 else 5)
    name, taken, given = named(profile)
    assert (name, taken, given[0]) == expected(site)
    leaking = {"leaky_destroy", "owner_destroy"}
    assert {suspect.summary.name for suspect in profile.suspects} <= leaking


@pytest.mark.parametrize("site", SITES)
def test_it_is_named_where_no_object_is_ever_freed(site: str) -> None:
    name, taken, _ = named(report(1, 200, site, 1.0))
    assert (name, taken) == expected(site)[:2]


@pytest.mark.parametrize(
    ("duration_s", "until_s"), [(45, 45), (85, 85), (120, 40), (120, 80), (300, 60), (300, 200)]
)
def test_what_is_kept_for_each_phone_is_not_accused(duration_s: float, until_s: float) -> None:
    for seed in range(3):
        found = record(World(seed, duration_s, 5, phones_until_s=until_s))
        assert leaks_profile(found).suspects == (), seed


@pytest.mark.parametrize("duration_s", [10, 20, 31, 45, 65, 90, 120, 300])
def test_healthy_types_are_never_accused(duration_s: float) -> None:
    for seed in range(5):
        assert report(seed, duration_s).suspects == (), seed
