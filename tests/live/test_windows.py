"""Windows on real lookups: what they cost and what they see; bench tells how well they estimate."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.budget import recorded_storm
from bench.storm import Reading, Storm
from lab.instance import Instance, Options, start
from profiler.model.recording import LookupGroup, Recording

pytestmark = [pytest.mark.live, pytest.mark.root]

SECONDS = 8.0
CHAINS = {"moderate": 1_000, "long": 50_000}


@pytest.fixture(scope="module")
def asterisk() -> Iterator[Instance]:
    with start(Options("16", name="windows-16").complete()) as instance:
        yield instance


def largest(recording: Recording) -> LookupGroup:
    return max(recording.lookups, key=lambda group: group.measured)


@pytest.fixture(scope="module")
def moderate(asterisk: Instance) -> tuple[Recording, Reading]:
    with Storm(asterisk, CHAINS["moderate"]) as storm:
        return recorded_storm(storm, asterisk.pid, SECONDS)


@pytest.fixture(scope="module")
def long(asterisk: Instance) -> tuple[Recording, Reading]:
    with Storm(asterisk, CHAINS["long"]) as storm:
        return recorded_storm(storm, asterisk.pid, SECONDS)


@pytest.mark.parametrize("chain", CHAINS)
def test_windows_keep_to_the_budget_and_count_right(
    request: pytest.FixtureRequest, chain: str
) -> None:
    recording, truth = request.getfixturevalue(chain)
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
    asterisk: Instance,
) -> None:
    with Storm(asterisk, 10) as storm:
        recording, truth = recorded_storm(storm, asterisk.pid, SECONDS)
    group = largest(recording)
    assert group.estimated_variance is None
    assert group.measured < group.estimated_total < truth.lookups


def test_long_lookups_are_measured_as_often_as_short_ones(asterisk: Instance) -> None:
    """Within a factor of two: they come in bursts where the machine does other work.

    Lookups that were cut by the ends of windows would nearly all be lost, and those that were met
    when windows begin would be many times as many.
    """
    # 0.5 ms and 0.2 us: both far from and near to the length of a window.
    with (
        Storm(asterisk, 50_000, options="rate=150") as long,
        Storm(asterisk, 10, options="rate=1500") as short,
    ):
        before = long.read(), short.read()
        recording, _ = recorded_storm(long, asterisk.pid, SECONDS)
        after = long.read(), short.read()
    of = {
        address: sum(
            group.measured
            for group in recording.lookups
            if recording.containers[group.container].address == address
        )
        for address in (long.address, short.address)
    }
    true_share = (after[0] - before[0]).lookups / (
        (after[0] - before[0]).lookups + (after[1] - before[1]).lookups
    )
    assert true_share / 2 < of[long.address] / sum(of.values()) < true_share * 2
