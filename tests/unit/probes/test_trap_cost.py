from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiler.linux.bpf import enable_program_statistics
from profiler.probes.attach import UprobePrograms, load_programs
from profiler.probes.planner import ProbePlan
from profiler.probes.trap_cost import ProbedCode, calibrate, call_target
from profiler.unwind.kernel_tables import TableLibrary


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


@pytest.fixture
def programs() -> Iterator[UprobePrograms]:
    plan = ProbePlan((), True, ())
    loaded = load_programs(
        {
            **TableLibrary().definitions(),
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


def test_what_attaching_returns_is_closed() -> None:
    seen = []

    def attach(path: str, offset: int, with_return: bool) -> list[int]:
        seen.append((path, offset, with_return))
        return [os.open("/dev/null", os.O_RDONLY)]

    before = descriptors()
    found = calibrate(attach)
    assert descriptors() == before
    assert [with_return for _, _, with_return in seen] == [False, False, True]
    assert found.stepped_trap_ns >= found.trap_ns


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
def test_every_trap_costs_something(programs: UprobePrograms) -> None:
    found = calibrate(programs.link_idle)
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
            before = programs._idle_entry.statistics().run_count
            code.call(name, count)
            assert programs._idle_entry.statistics().run_count - before == count
