from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from profiler.model.quantities import Window
from profiler.offcpu.windows import SHARE, OffCpuWindows, share_for
from profiler.windows.budget import PLANNED_RATIO, Governor
from profiler.wire.offcpu import Control, State, Wait

MS = 1_000_000
SECOND = 1_000 * MS
BEGIN = 2 * SECOND  # by then there is enough of the budget for the first window


class Machine:
    """Switches that come at a steady rate and cost the same each; time goes on by `now`."""

    def __init__(self, switches_hz: float, cost_ns: float = 300) -> None:
        self.now = 0
        self._rate = switches_hz / SECOND
        self._cost_ns = cost_ns
        self._attached_ns: int | None = None
        self._seen_ns = 0
        self.asked = Control()
        self.ends: list[tuple[int, int, Wait]] = []
        self.waiting: list[tuple[int, Wait]] = []
        self.stopped = State(0, 0, 0)
        self.refuses: OSError | None = None

    def open_ns(self) -> int:
        return self._seen_ns + (0 if self._attached_ns is None else self.now - self._attached_ns)

    def attach(self) -> None:
        if self.refuses:
            raise self.refuses
        self._attached_ns = self.now

    def detach(self) -> None:
        self._seen_ns, self._attached_ns = self.open_ns(), None

    def find(self) -> None:
        pass

    def control(self, control: Control) -> None:
        self.asked = control

    def state(self) -> State:
        return self.stopped

    def ended(self) -> Iterator[tuple[int, int, Wait]]:
        ends, self.ends = self.ends, []
        return iter(ends)

    def take_open(self) -> Iterator[tuple[int, Wait]]:
        return iter(self.waiting)

    def counts(self) -> dict[str, int]:
        return {"seen": round(self.open_ns() * self._rate), "locks": 0}

    def cost_ns(self) -> int:
        return round(self.open_ns() * self._rate * self._cost_ns)


def windows_of(machine: Machine, budget: float | None = 0.01) -> OffCpuWindows:
    switches: Any = machine
    governor = Governor(budget, 0, lambda: 0.5)
    return OffCpuWindows(switches, governor, lambda: machine.now)


def run(machine: Machine, windows: OffCpuWindows, seconds: float) -> None:
    due = 0
    while machine.now < seconds * SECOND:
        machine.now = min(max(due, machine.now + 1_000), round(seconds * SECOND))
        due = windows.step(machine.now)
    windows.close()


def wait(began_ns: int) -> Wait:
    return Wait(began_ns, 1, 2, 0, 0, 0, 0, 0, 35, 1, 0, 0, 1, 0)


def test_few_switches_are_seen_all_the_time() -> None:
    machine = Machine(switches_hz=500)
    windows = windows_of(machine)
    run(machine, windows, 10)
    assert windows.covered_ns > 10 * SECOND - BEGIN
    assert windows.cost_ns == machine.cost_ns()


@pytest.mark.parametrize("switches_hz", [20_000, 100_000, 1_000_000])
def test_many_switches_stay_within_their_share_of_the_budget(switches_hz: int) -> None:
    machine = Machine(switches_hz)
    windows = windows_of(machine)
    run(machine, windows, 60)
    assert 0 < windows.covered_ns < 60 * SECOND
    assert windows.cost_ns < 0.01 * 60 * SECOND * PLANNED_RATIO * SHARE * 1.2
    assert sum(window.duration_ns for window in windows.windows) == windows.covered_ns


def test_no_budget_is_no_limit() -> None:
    machine = Machine(1_000_000)
    windows = windows_of(machine, None)
    run(machine, windows, 3)
    assert len(windows.windows) == 1
    assert windows.covered_ns > 2.99 * SECOND
    assert machine.asked == Control()


def test_a_window_ends_where_its_allowance_was_used_up() -> None:
    machine = Machine(100)
    windows = windows_of(machine)
    machine.now = BEGIN
    windows.step(machine.now)
    assert windows.is_open
    machine.stopped = State(0, BEGIN + 7 * MS, machine.asked.window)
    machine.ends = [(BEGIN + 9 * MS, 3, wait(BEGIN + 5 * MS))]
    machine.now = BEGIN + 20 * MS
    windows.step(machine.now)
    assert not windows.is_open
    assert windows.windows == [Window(BEGIN, BEGIN + 7 * MS)]
    (seen,) = windows.waits.all()
    assert (seen.time_ns, seen.total_ns) == (2 * MS, 4 * MS)


def test_coming_late_leaves_no_hole() -> None:
    machine = Machine(100)
    windows = windows_of(machine)
    machine.now = BEGIN
    due = windows.step(machine.now)
    asked = machine.asked
    machine.now = due + SECOND
    windows.step(machine.now)
    assert windows.is_open
    assert machine.asked.window == asked.window  # which it was all the time


def test_what_has_not_ended_is_noted_as_waiting() -> None:
    machine = Machine(100)
    windows = windows_of(machine)
    machine.now = BEGIN
    windows.step(machine.now)
    machine.waiting = [(3, wait(BEGIN // 2))]
    machine.now = BEGIN + 5 * MS
    windows.close()
    (seen,) = windows.waits.all()
    assert (seen.waiting, seen.time_ns, seen.max_ns) == (1, 5 * MS, BEGIN // 2 + 5 * MS)


def test_a_kernel_that_refuses_is_asked_once() -> None:
    machine = Machine(100)
    machine.refuses = OSError(1, "Operation not permitted")
    windows = windows_of(machine)
    assert windows.step(BEGIN) > 1_000 * SECOND
    assert windows.problem == "waits could not be seen: Operation not permitted"
    machine.refuses = None
    windows.step(2 * BEGIN)
    assert not windows.is_open


@pytest.mark.parametrize(
    ("rate_hz", "share"), [(0, 1), (400, 1), (401, 2), (900, 4), (6_400, 16), (1e9, 4096)]
)
def test_of_many_waits_a_part_is_chosen(rate_hz: float, share: int) -> None:
    assert share_for(rate_hz, 400) == share
