from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.linux.bpf import ProgramStatistics
from profiler.windows.snapshots import WindowSnapshot, WindowSnapshots
from profiler.wire.lookups import NO_WINDOW, WindowState
from tests.unit.fake_maps import Map, Module

SPENT = WindowState(17, 23, 3, 1, 700, 2, 1, 11)
KEY = bytes(4)


@pytest.fixture
def module() -> Module:
    return Module()


@pytest.fixture
def states(module: Module) -> Map:
    return module.map("window_state")


@pytest.fixture
def snapshots(module: Module) -> WindowSnapshots:
    runs = (ProgramStatistics(900, 6), ProgramStatistics(100, 1))
    programs: Any = SimpleNamespace(
        module=module,
        entry_programs=lambda: [SimpleNamespace(statistics=lambda run=run: run) for run in runs],
    )
    clock: Any = SimpleNamespace(read_ns=lambda: 4_000, read_exactly_ns=lambda: 4_250)
    return WindowSnapshots(programs, clock)


def test_a_snapshot_holds_what_is_counted_and_used(
    snapshots: WindowSnapshots, states: Map, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "monotonic_ns", lambda: 77)
    states[KEY] = SPENT.encode()
    assert snapshots.read() == WindowSnapshot(77, 4_000, SPENT, 1_000, 7)
    assert snapshots.read(exactly=True) == WindowSnapshot(77, 4_250, SPENT, 1_000, 7)


def test_a_window_is_forgotten(snapshots: WindowSnapshots, states: Map) -> None:
    assert snapshots.state() == NO_WINDOW
    states[KEY] = SPENT.encode()
    assert snapshots.state() == SPENT
    snapshots.reset()
    assert snapshots.state() == NO_WINDOW


def test_the_cost_is_that_of_traps_and_of_programs() -> None:
    begin = WindowSnapshot(0, 0, SPENT, 100, 1)
    end = WindowSnapshot(9, 9, WindowState(17, 23, 3, 1, 1_000, 2, 1, 11), 150, 9)
    assert begin.cost_ns(end) == 350
    assert begin.cost_ns(begin) == 0
