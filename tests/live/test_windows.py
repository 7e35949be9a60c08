"""Windows on real lookups: what they cost and what they see; bench tells how well they estimate."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.budget import recorded_storm
from bench.session import recorded
from bench.storm import Reading, Storm
from lab.instance import Instance
from profiler.model.recording import LookupGroup, Recording
from profiler.record.preparation.sampling import Options

pytestmark = [pytest.mark.live, pytest.mark.root]

SECONDS = 8.0
CHAINS = {"moderate": 1_000, "long": 50_000}


def largest(recording: Recording) -> LookupGroup:
    """Return the group of the storm; its lookups before its layout was known are another one."""
    return max(recording.lookups, key=lambda group: (group.verified, group.measured))


def measured_storm(
    storm: Storm, pid: int, is_seen: Callable[[LookupGroup], int]
) -> tuple[Recording, Reading]:
    """Record until lookups of the storm were seen: a budget may pay for too little in one time."""
    for _ in range(10):
        recording, truth = recorded_storm(storm, pid, SECONDS)
        if recording.lookups and is_seen(largest(recording)):
            return recording, truth
    raise AssertionError("no lookup of the storm was seen")


@pytest.mark.parametrize("chain", CHAINS)
def test_windows_keep_to_the_budget_and_count_right(sip: Instance, chain: str) -> None:
    with Storm(sip, CHAINS[chain]) as storm:
        recording, truth = measured_storm(storm, sip.pid, lambda group: group.verified)
    group = largest(recording)
    assert recording.cost.lookups_ns + recording.cost.sampling_ns <= 0.01 * SECONDS * 1e9
    assert group.contradicted == group.truncated == 0
    assert 0 < group.verified <= group.measured <= truth.lookups
    assert group.comparisons.max is not None
    assert group.comparisons.max <= CHAINS[chain]
    accounting = recording.lookup_accounting
    assert accounting.fired == sum(
        (accounting.kept, accounting.filtered, accounting.lost, accounting.truncated)
    )


def test_where_a_trap_takes_longer_than_a_lookup_a_lower_bound_is_given(
    sip: Instance,
) -> None:
    with Storm(sip, 10) as storm:
        # Beside other load the budget may pay for the first window alone, which verifies none.
        recording, truth = measured_storm(storm, sip.pid, lambda group: group.measured)
    group = largest(recording)
    assert group.estimated_variance is None
    assert group.measured < group.estimated_total < truth.lookups


def test_long_lookups_are_measured_as_often_as_short_ones(sip: Instance) -> None:
    """Within a factor of two: they come in bursts where the machine does other work.

    Lookups that were cut by the ends of windows would nearly all be lost, and those that were met
    when windows begin would be many times as many.
    """
    options = Options(round(SECONDS * 1e9), budget_ratio=0.05)
    # 0.5 ms and 0.2 us: both far from and near to the length of a window.
    with (
        Storm(sip, 50_000, options="rate=150") as long,
        Storm(sip, 10, options="rate=1500") as short,
    ):
        storms, made, measured = (long, short), [0, 0], [0, 0]
        for _ in range(10):
            before = [storm.read() for storm in storms]
            recording = recorded(sip.pid, options, lambda: None, lambda: None)
            for place, storm in enumerate(storms):
                made[place] += (storm.read() - before[place]).lookups
                measured[place] += measured_in(recording, storm.address)
            if sum(measured) > 1_000:
                break
    assert made[0] / sum(made) / 2 < measured[0] / sum(measured) < made[0] / sum(made) * 2


def measured_in(recording: Recording, address: int) -> int:
    groups = recording.lookups
    return sum(g.measured for g in groups if recording.containers[g.container].address == address)
