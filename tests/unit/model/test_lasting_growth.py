from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest

from profiler.model.lasting_growth import LEAST_NS, lasting_growth

SECOND_NS = 1_000_000_000
Sizes = list[tuple[int, int]]


def sizes(count: Callable[[float], float], seconds: float = 60.0, looks: int = 300) -> Sizes:
    """Return what looks at a container of so many elements see."""
    times = (seconds * look / looks for look in range(looks + 1))
    return [(round(time * SECOND_NS), int(count(time))) for time in times]


def by_chance(seed: int, arrive_hz: float, stay_s: float, begin: int = 0) -> Sizes:
    """Return sizes of a container in which elements arrive, and stay for a while, by chance."""
    chance = random.Random(seed)
    changes = [(chance.expovariate(1 / stay_s), -1) for _ in range(begin)]
    time = chance.expovariate(arrive_hz)
    while time < 60:
        changes += [(time, 1), (time + chance.expovariate(1 / stay_s), -1)]
        time += chance.expovariate(arrive_hz)
    changes.sort()
    return sizes(lambda now: begin + sum(change for at, change in changes if at <= now), 60, 60)


def test_what_grows_all_the_time_goes_on() -> None:
    assert lasting_growth(sizes(lambda time: 55_000 + 20 * time)) == 1_200
    assert lasting_growth(sizes(lambda time: time / 2)) == 30


def test_a_short_run_does_not_tell() -> None:
    least_s = LEAST_NS / SECOND_NS
    assert lasting_growth(sizes(lambda time: 20 * time, least_s)) == 1_200
    assert lasting_growth(sizes(lambda time: 20 * time, least_s - 1)) is None


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 1.0, 2.0])
def test_what_fills_and_nears_a_level_does_not_go_on(share: float) -> None:
    assert lasting_growth(sizes(lambda time: 9_000 * (1 - math.exp(-time / (60 * share))))) is None


@pytest.mark.parametrize("until", [10, 30, 50, 54])
def test_what_is_full_before_the_end_does_not_go_on(until: int) -> None:
    assert lasting_growth(sizes(lambda time: 20 * min(time, until))) is None


@pytest.mark.parametrize("since", [15, 30, 50])
def test_what_begins_to_grow_meanwhile_is_not_said_to_go_on(since: int) -> None:
    assert lasting_growth(sizes(lambda time: 20 * max(time - since, 0))) is None


def test_a_jump_is_no_growth() -> None:
    assert lasting_growth(sizes(lambda time: 500 * (time > 31))) is None


@pytest.mark.parametrize("seed", range(20))
def test_what_comes_and_goes_by_chance_does_not_grow(seed: int) -> None:
    assert lasting_growth(by_chance(seed, 5, 60, begin=300)) is None
    assert lasting_growth(by_chance(seed, 20, 5, begin=100)) is None
    assert lasting_growth(by_chance(seed, 20, 5)) is None


@pytest.mark.parametrize("seed", range(20))
def test_what_is_kept_by_chance_grows(seed: int) -> None:
    assert lasting_growth(by_chance(seed, 20, 1e9)) is not None


@pytest.mark.parametrize("few", [[], [(0, 1)], [(0, 5)] * 9, [(0, 1), (LEAST_NS, 9)]])
def test_too_few_looks_tell_nothing(few: Sizes) -> None:
    assert lasting_growth(few) is None
