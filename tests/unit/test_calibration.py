from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.calibration import ProbedCode, calibrate, call_target
from profiler.probes import ProbePlan
from profiler.unwind import TableLibrary
from profiler.unwind_cache import TableCache, default_directory
from profiler.uprobes import UprobePrograms, load_programs

MS = 1_000_000


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


@pytest.fixture
def programs() -> Iterator[UprobePrograms]:
    plan = ProbePlan((), True, True, True, False, True, ())
    loaded = load_programs(
        {
            **TableLibrary(TableCache.open(default_directory())).definitions(),
            **plan.definitions(),
            "TARGET_TGID": os.getpid(),
            "CPU_KERNEL_FRAMES": 1,
            "THREADS": 16,
            "GROUPS": 16,
            "HISTOGRAMS": 64,
        }
    )
    yield loaded
    loaded.close()


@given(offset=st.integers(0, 1 << 20), at=st.integers(0, 64), function=st.integers(0, 1 << 20))
def test_a_relative_call_reaches_its_target(offset: int, at: int, function: int) -> None:
    code = call_target(offset, at, function)
    assert code[0] == 0xE8
    assert offset + at + len(code) + int.from_bytes(code[1:], "little", signed=True) == function


def test_the_code_returns_and_a_call_takes_nanoseconds() -> None:
    code = ProbedCode()
    try:
        for name in code.places:
            assert 0 < code.per_call_ns(name) < 1_000
    finally:
        code.close()


def test_closed_code_leaves_no_descriptor() -> None:
    before = descriptors()
    ProbedCode().close()
    assert descriptors() == before


def test_what_attaching_returns_is_closed() -> None:
    seen = []

    def attach(path: str, offset: int, with_return: bool) -> list[int]:
        seen.append((path, offset, with_return))
        return [os.open("/dev/null", os.O_RDONLY)]

    before = descriptors()
    found = calibrate(attach)
    assert descriptors() == before
    assert [with_return for _, _, with_return in seen] == [False, False, True]
    assert found.stepped_trap_ns >= found.trap_ns  # nothing was attached: all are about nothing
    assert abs(found.trap_ns) < 100


def test_without_returns_none_is_trapped() -> None:
    asked = []

    def attach(path: str, offset: int, with_return: bool) -> list[int]:
        asked.append(with_return)
        return []

    assert calibrate(attach, returns=False).return_trap_ns == 0
    assert asked == [False, False]


def test_a_place_that_cannot_be_probed_closes_everything() -> None:
    def attach(path: str, offset: int, with_return: bool) -> list[int]:
        raise PermissionError(1, "no")

    before = descriptors()
    with pytest.raises(PermissionError):
        calibrate(attach)
    assert descriptors() == before


@pytest.mark.root
@pytest.mark.timed
def test_traps_cost_what_they_are_known_to(programs: UprobePrograms) -> None:
    found = calibrate(programs.link_idle)
    # From bare metal (0.3 us; 1 us when stepped) to a virtual machine within another one.
    assert 100 < found.trap_ns < 10_000
    assert found.trap_ns < found.stepped_trap_ns < MS
    assert 0 < found.return_trap_ns < 10_000


@pytest.mark.root
@pytest.mark.timed
def test_two_calibrations_agree(programs: UprobePrograms) -> None:
    traps = sorted(calibrate(programs.link_idle).trap_ns for _ in range(5))
    assert traps[3] < 1.5 * traps[1]


def test_the_loop_calls_as_often_as_told() -> None:
    code = ProbedCode()
    try:
        loop = ctypes.CFUNCTYPE(None, ctypes.c_uint64)(code._start + code.places["push"][0])
        loop(1)
        loop(100_000)  # ends
    finally:
        code.close()
