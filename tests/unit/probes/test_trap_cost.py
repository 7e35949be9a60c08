from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle, repeat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.linux.bpf import enable_program_statistics
from profiler.model.observed import Calibration
from profiler.probes.attach import UprobePrograms
from profiler.probes.planner import ProbePlan
from profiler.probes.trap_cost import ProbedCode, calibrate, call_target
from tests.programs import lookup_programs


def refuse(*_: object) -> int:
    raise PermissionError(1, "no")


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


@pytest.fixture
def programs() -> Iterator[UprobePrograms]:
    with lookup_programs(ProbePlan((), True, ()).definitions()) as loaded:
        yield loaded


@given(offset=st.integers(0, 1 << 20), at=st.integers(0, 64), function=st.integers(0, 1 << 20))
def test_a_relative_call_reaches_its_target(offset: int, at: int, function: int) -> None:
    code = call_target(offset, at, function)
    assert code[0] == 0xE8
    assert offset + at + len(code) + int.from_bytes(code[1:], "little", signed=True) == function


def test_the_code_returns_and_a_call_takes_time() -> None:
    code = ProbedCode()
    try:
        for name in code.places:
            assert code.per_call_ns(name) > 0
    finally:
        code.close()


def test_closed_code_leaves_no_descriptor() -> None:
    before = descriptors()
    ProbedCode().close()
    assert descriptors() == before


def measure(monkeypatch: pytest.MonkeyPatch, *times_ns: float) -> None:
    """Let calls take these times, one after the other: without a probe, with one, ..."""
    clock = iter(times_ns)
    monkeypatch.setattr(ProbedCode, "per_call_ns", lambda *_: next(clock))


def test_what_attaching_returns_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    measure(monkeypatch, 2, 702, 3, 1_503, 2, 1_902)
    seen = []

    def attach(path: str, offset: int, with_return: bool) -> list[int]:
        seen.append((path, offset, with_return))
        return [os.open("/dev/null", os.O_RDONLY)]

    before = descriptors()
    found = calibrate(attach)
    assert descriptors() == before
    assert [with_return for _, _, with_return in seen] == [False, False, True]
    assert found == Calibration(700, 1_500, 1_200)


def test_without_returns_none_is_trapped(monkeypatch: pytest.MonkeyPatch) -> None:
    measure(monkeypatch, 2, 702, 3, 1_503)
    asked = []

    def attach(path: str, offset: int, with_return: bool) -> list[int]:
        asked.append(with_return)
        return []

    assert calibrate(attach, returns=False) == Calibration(700, 1_500, 0)
    assert asked == [False, False]


@pytest.mark.parametrize(
    "clock",
    [
        pytest.param(repeat(7_000_000), id="it stands still"),
        pytest.param(cycle((0, 0, 0, 4_000_000)), id="it moves at ticks"),
    ],
)
def test_a_clock_that_cannot_tell_means_that_the_cost_is_unknown(
    monkeypatch: pytest.MonkeyPatch, clock: Iterator[int]
) -> None:
    monkeypatch.setattr(time, "thread_time_ns", lambda: next(clock))
    assert calibrate(lambda *_: []) is None


def test_a_clock_that_may_not_be_read_means_that_the_cost_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "thread_time_ns", refuse)
    assert calibrate(lambda *_: []) is None


def test_code_that_cannot_be_made_means_that_the_cost_is_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "memfd_create", refuse)
    assert calibrate(lambda *_: []) is None


def test_a_place_that_cannot_be_probed_closes_everything() -> None:
    def attach(path: str, offset: int, with_return: bool) -> list[int]:
        raise PermissionError(1, "no")

    before = descriptors()
    assert calibrate(attach) is None
    assert descriptors() == before


@pytest.mark.root
def test_every_trap_costs_something(programs: UprobePrograms) -> None:
    found = calibrate(programs.link_idle)
    assert found is not None
    assert 0 < found.trap_ns <= found.stepped_trap_ns


@pytest.mark.root
@pytest.mark.parametrize("name", ["push", "move"])
def test_the_loop_calls_as_often_as_asked(programs: UprobePrograms, name: str) -> None:
    """A probe on the function that it calls counts."""
    code = ProbedCode()
    with ExitStack() as stack:
        stack.callback(code.close)
        stack.callback(os.close, enable_program_statistics())
        for descriptor in programs.link_idle(code.path, code.places[name][1], False):
            stack.callback(os.close, descriptor)
        for count in (1, 1_009):
            before = programs._idle.statistics().run_count
            code.call(name, count)
            assert programs._idle.statistics().run_count - before == count
        shown = Path(f"/proc/self/fdinfo/{programs._idle.descriptor}").read_text()
        fields = dict(line.split(":\t") for line in shown.splitlines() if ":\t" in line)
        found = programs._idle.statistics()
        assert found.run_count == int(fields["run_cnt"])
        assert found.run_time_ns == int(fields["run_time_ns"]) > 0
