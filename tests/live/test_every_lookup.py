"""Recordings that measure every lookup, so that one window follows another without a pause."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from bench.session import Session
from bench.storm import Storm
from lab.instance import Instance
from profiler.counting import traversal_frames
from profiler.counting.lookups import LookupMeasurement
from profiler.record.preparation import sampling as preparation
from profiler.wire.lookups import LookupCounter, Verdict
from tests.groundtruth import KINDS, box
from tests.live.load import meanwhile

pytestmark = [pytest.mark.live, pytest.mark.root]

EVERY_LOOKUP = preparation.Options(1, budget_ratio=None)


def measured(session: Session) -> LookupMeasurement:
    """Return the measurement, after checks that hold for every one."""
    measurement = session.run.lookups
    assert measurement is not None and measurement.problem is None
    counters = measurement.counters()
    gone = {one for one in LookupCounter if LookupCounter.FIRED < one < LookupCounter.STACKLESS}
    assert counters[LookupCounter.FIRED] == sum(counters[counter] for counter in gone)
    assert counters[LookupCounter.UNFINISHED] == counters[LookupCounter.THREADS] == 0
    return measurement


def profile_until(
    session: Session, is_enough: Callable[[LookupMeasurement], bool]
) -> LookupMeasurement:
    """Profile for as long as this machine needs."""
    deadline = time.monotonic() + 240
    while True:
        session.on(0.5)
        measurement = measured(session)
        assert not session.run.exited, f"the target is there; gone: {measurement.gone}"
        if is_enough(measurement):
            return measurement
        assert time.monotonic() < deadline, measurement.counters()


def test_a_probe_is_left_out_as_soon_as_frames_are_known(asterisk: Instance) -> None:
    with Storm(asterisk, 10) as storm, Session(asterisk.pid, EVERY_LOOKUP) as session:
        profile_until(session, lambda m: m._planner.frames._predicted > 0)
        before, verdicts = storm.read(), measured(session)._counts.verdicts
        profile_until(session, lambda m: sum(m._counts.verdicts) > sum(verdicts) + 10_000)
        after = storm.read()
        new = [b - a for a, b in zip(verdicts, measured(session)._counts.verdicts, strict=True)]
    assert new[Verdict.VERIFIED] > 0.999 * sum(new)
    assert sum(new) <= after.lookups - before.lookups


def test_it_comes_back_where_elements_come_and_go(
    asterisk: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    # How many lookups meet a change depends on the machine: 0.5 to 1.8 % were seen.
    monkeypatch.setattr(traversal_frames, "DOUBTFUL_RATIO", 0.001)
    with (
        box(asterisk, "churned", KINDS["hash"]) as target,
        Session(asterisk.pid, EVERY_LOOKUP) as session,
    ):
        run = target.begin("hit", threads=4, churners=2, churn=20_000)
        profile_until(
            session,
            lambda m: m._planner.frames._predicted > 0 and not m._planner.frames.are_known,
        )
        doubts = measured(session)._counts.verdicts
        profile_until(session, lambda m: sum(m._counts.verdicts) > sum(doubts) + 10_000)
        new = [b - a for a, b in zip(doubts, measured(session)._counts.verdicts, strict=True)]
        target.end(run)
    assert new[Verdict.VERIFIED] == sum(new)


def test_there_is_room_for_more_threads_than_places(
    asterisk: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparation, "_LEAST_THREADS", 200)
    threads, each = 8, 50
    with (
        box(asterisk, "many", KINDS["hash"]) as target,
        Session(asterisk.pid, EVERY_LOOKUP) as session,
    ):
        lookups = session.run.lookups
        assert lookups is not None
        places = lookups._module.map("threads").max_entries

        def work() -> None:
            target.run("hit", threads=threads, count=each)
            time.sleep(0.1)

        with meanwhile(work):
            # Every thread makes `each` lookups, so these are of more threads than places.
            profile_until(session, lambda m: m.counters()[LookupCounter.KEPT] > places * each)
