from __future__ import annotations

import os
from pathlib import Path

import pytest

from profiler import sample_cost
from profiler.sample_cost import SampleCost, calibrate_interrupt, calibrate_switch


@pytest.mark.root
@pytest.mark.timed
def test_an_interrupt_costs_microseconds() -> None:
    assert 300 < calibrate_interrupt() < 200_000


@pytest.mark.root
@pytest.mark.timed
def test_a_switch_costs_less_than_an_interrupt_of_the_slowest_machine() -> None:
    before = (os.sched_getaffinity(0), set(Path("/proc/self/fd").iterdir()))
    assert 50 < calibrate_switch() < 200_000
    assert before[0] == os.sched_getaffinity(0)
    assert len(before[1]) == len(set(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ChildProcessError):  # none is left
        os.waitpid(-1, os.WNOHANG)


def test_where_events_are_refused_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(1, "no")

    monkeypatch.setattr(sample_cost.syscalls, "open_cpu_clock", refused)
    assert sample_cost.calibrate_sampling() == SampleCost(0, 0)
