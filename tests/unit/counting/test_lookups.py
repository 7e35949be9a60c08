"""What a measurement does when the kernel refuses it; whole windows are tested on real lookups."""

from __future__ import annotations

import errno
import os
import struct
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.counting.lookups import LookupMeasurement
from profiler.linux.bpf import ProgramStatistics
from profiler.model.observed import Calibration
from profiler.probes.planner import ProbePlan
from profiler.process.target import TargetProcess
from profiler.windows.budget import Governor
from profiler.wire.lookups import NO_WINDOW
from tests.unit.fake_maps import Module

SECOND_NS = 1_000_000_000
PLAN = ProbePlan((), True, ())


class Refusing:
    """Programs that no probe can be placed for."""

    def __init__(self, number: int) -> None:
        ring = SimpleNamespace(drain=lambda: [])
        self.module = SimpleNamespace(map=Module().map, ring_buffer=lambda _name: ring)
        self.number = number
        self.asked = 0

    def attach(self, *_: object) -> None:
        self._refuse()

    def count(self, *_: object) -> None:
        self._refuse()

    def _refuse(self) -> None:
        self.asked += 1
        if self.number == errno.ESRCH:
            raise ProcessLookupError(self.number, "gone")
        raise OSError(self.number, "refused")

    def detach(self) -> None:
        pass

    def stop_counting(self) -> None:
        pass

    def entry_programs(self) -> tuple[()]:
        return ()


class Placing(Refusing):
    """Programs whose probes are placed; each window ends as soon as it is looked at."""

    counting_program = SimpleNamespace(statistics=lambda: ProgramStatistics(0, 0))

    def __init__(self) -> None:
        super().__init__(0)
        self.module.ring_buffer = lambda _name: SimpleNamespace(drain=self._spend)

    def _spend(self) -> list[bytes]:
        state = replace(NO_WINDOW, closed_ns=1)
        self.module.map("window_state").set(struct.pack("<I", 0), state.encode())
        return []

    def attach(self, *_: object) -> None:
        pass

    def count(self, *_: object) -> None:
        pass


def measurement(programs: Any, governor: Governor | None = None) -> LookupMeasurement:
    planner: Any = None
    return LookupMeasurement(
        programs,
        planner,
        PLAN,
        TargetProcess.open(os.getpid(), 0),
        Calibration(700, 10_000, 500),
        governor or Governor(None, 0),
    )


@pytest.mark.parametrize(("number", "gone"), [(errno.EINVAL, False), (errno.ESRCH, True)])
def test_a_refusal_is_said_and_not_asked_for_again(number: int, gone: bool) -> None:
    programs = Refusing(number)
    one = measurement(programs)
    one.step(1_000_000_000)
    assert one.gone == gone
    assert (one.problem == "probes could not be placed: refused") == (not gone)
    if not gone:
        assert one.step(2_000_000_000) > 3600 * 1_000_000_000
        assert programs.asked == 1
    one.finish()


def test_where_counting_is_refused_no_probe_is_left_in_place() -> None:
    programs = Refusing(errno.ENOMEM)
    placed: list[str] = []
    made: Any = programs
    made.attach = lambda *_: placed.append("placed")
    made.detach = lambda: placed.append("removed")
    one = measurement(programs)
    one.step(1_000_000_000)
    assert one.problem == "probes could not be placed: refused"
    assert placed == ["placed", "removed"]


def test_others_wait_for_the_first_windows_but_not_for_what_is_refused() -> None:
    governor = Governor(0.01, 0)
    one = measurement(Refusing(errno.EINVAL), governor)
    assert not governor.goes_first(0, -1)
    one.step(0)
    assert governor.goes_first(0, -1)
    one.step(1_000_000_000)
    assert one.problem is not None
    assert not governor.goes_first(1_000_000_000, -1)


def test_no_other_kind_has_a_window_between_the_first_four() -> None:
    governor = Governor(0.5, 0)
    one = measurement(Placing(), governor)
    others_wait: list[bool] = []
    for now_ns in range(SECOND_NS, 20 * SECOND_NS, SECOND_NS):
        one.step(now_ns)
        if one.windows.seen > len(others_wait):
            others_wait.append(governor.goes_first(now_ns, -1))
    one.finish()
    assert others_wait[:5] == [True, True, True, False, False]
