from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import count, cycle

import pytest

from profiler.linux import perf_events
from profiler.sampling.sample_cost import calibrate_interrupt


@pytest.mark.root
def test_an_interrupt_costs_something() -> None:
    """Where other work disturbs the loops they may tell nothing, but not each time."""
    assert any(calibrate_interrupt() for _ in range(20))


def refused(*_: object, **__: object) -> int:
    raise PermissionError(1, "no")


@pytest.mark.parametrize(
    ("module", "call"),
    [
        (perf_events, "open_cpu_clock"),
        (perf_events, "enable_event"),
        (time, "thread_time_ns"),
    ],
)
def test_where_a_call_is_refused_nothing_is_known(
    monkeypatch: pytest.MonkeyPatch, module: object, call: str
) -> None:
    monkeypatch.setattr(perf_events, "open_cpu_clock", lambda *_, **__: os.open("/dev/null", 0))
    monkeypatch.setattr(module, call, refused)
    assert calibrate_interrupt() is None


def calibrated(monkeypatch: pytest.MonkeyPatch, clock: Iterator[int]) -> int | None:
    """Calibrate by a clock of the test, read before and after each loop, the plain one first."""
    monkeypatch.setattr(perf_events, "open_cpu_clock", lambda *_, **__: 1_000)
    monkeypatch.setattr(perf_events, "enable_event", lambda _: None)
    monkeypatch.setattr(os, "close", lambda _: None)
    monkeypatch.setattr(time, "thread_time_ns", lambda: next(clock))
    return calibrate_interrupt()


def test_interrupts_are_what_a_loop_takes_more_with_them(monkeypatch: pytest.MonkeyPatch) -> None:
    # 400 us with an interrupt each 20 us, instead of 300: 20 interrupts took 100 us.
    assert calibrated(monkeypatch, cycle((0, 300_000, 0, 400_000))) == 5_000


@pytest.mark.parametrize(
    "clock",
    [
        pytest.param(cycle((0,)), id="it stands still"),
        pytest.param(cycle((0, 10_000_000, 0, 0)), id="it moves at ticks"),
        pytest.param(cycle((0, 400_000, 0, 300_000)), id="faster with interrupts"),
        pytest.param(count(step=300_000), id="no difference"),
        pytest.param(cycle((0, 300_000, 0, 300_500)), id="no interrupt came"),
    ],
)
def test_a_clock_that_cannot_tell_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, clock: Iterator[int]
) -> None:
    assert calibrated(monkeypatch, clock) is None
