from __future__ import annotations

from dataclasses import replace
from typing import Any

from profiler.windows.budget import Governor, Grant
from profiler.windows.costs import WindowCosts
from profiler.windows.open_window import OpenWindow
from profiler.windows.snapshots import WindowSnapshot
from profiler.wire.lookups import NO_WINDOW


def at(run_time_ns: int) -> WindowSnapshot:
    return WindowSnapshot(0, 0, NO_WINDOW, run_time_ns, 0)


WINDOW = OpenWindow(1, False, Grant(9_000, 1_000_000), at(5_000))


class Snapshots:
    """Programs that have run for `now_ns`."""

    now_ns = 0

    def read(self) -> WindowSnapshot:
        return at(self.now_ns)


def costs() -> tuple[WindowCosts, Snapshots, Governor]:
    snapshots, governor = Snapshots(), Governor(0.01, 0)
    reader: Any = snapshots
    return WindowCosts(reader, governor), snapshots, governor


def test_everything_is_charged_once_from_before_the_probes_to_after_them() -> None:
    made, snapshots, governor = costs()
    snapshots.now_ns = 3_000
    assert made.begin() == at(3_000)
    assert made.charge(WINDOW, at(10_000), closed=False) == 7_000
    snapshots.now_ns = 30_000
    assert made.charge(replace(WINDOW, begin=at(10_000)), at(20_000), closed=True) == 170_000
    assert governor.spent_ns == 177_000
    assert not made.is_contended


def test_placing_that_cost_much_stays_known_as_contended() -> None:
    made, snapshots, _ = costs()
    made.begin()
    snapshots.now_ns = 2_850_001  # with the probes' placing 3 ms and one more
    made.charge(WINDOW, at(0), closed=True)
    assert made.is_contended
    snapshots.now_ns += 1_000
    made.charge(WINDOW, at(0), closed=True)
    assert made.is_contended
