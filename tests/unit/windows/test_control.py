from __future__ import annotations

import struct
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from profiler.model.observed import Calibration
from profiler.windows.budget import Grant
from profiler.windows.control import WindowControl
from profiler.windows.open_window import OpenWindow
from profiler.windows.snapshots import WindowSnapshot
from profiler.wire.lookups import NO_WINDOW, Control

BEGIN = WindowSnapshot(0, 0, replace(NO_WINDOW, spent_ns=1_000, walk_ns=500), 10_000, 100)
WINDOW = OpenWindow(7, True, Grant(9_000, 80_000), BEGIN)
CLOSED = Control(0, 0, 0, 70, 700, 1_500, 1_200, 300, 70, 8_000, 8, 1, False)


class Programs:
    """What the programs read of their map `control`."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        module: Any = SimpleNamespace(map=lambda name: {"control": self}[name])
        self.control = WindowControl(module, Calibration(700, 1_500, 1_200))

    def set(self, key: bytes, value: bytes) -> None:
        assert key == struct.pack("<I", 0)
        self.written.append(value)


def test_nothing_is_admitted_until_a_window_is() -> None:
    assert Programs().written == [CLOSED.encode()]


def test_a_window_is_admitted_and_its_lookups_followed_by_the_same_rules() -> None:
    programs = Programs()
    programs.control.admit(WINDOW, is_overhead_dominated=True)
    admitted = Control(
        7, 50_009_000, 81_000, 10_000, 700, 1_500, 1_200, 300, 70, 8_000, 64, 8, True
    )
    programs.control.follow()
    followed = replace(admitted, admit_until_ns=0, allowance_ns=0)
    programs.control.close()
    expected = [admitted, followed, replace(followed, window=0)]
    assert programs.written[1:] == [control.encode() for control in expected]


def test_more_stacks_and_all_returns_where_our_cost_does_not_dominate() -> None:
    programs = Programs()
    programs.control.admit(WINDOW, is_overhead_dominated=False)
    control = Control(7, 50_009_000, 81_000, 10_000, 700, 1_500, 1_200, 300, 70, 8_000, 8, 1, True)
    assert programs.written[-1] == control.encode()


def program_ns(programs: Programs) -> int:
    programs.control.admit(WINDOW, is_overhead_dominated=False)
    size = struct.calcsize("<4Q3I")
    return int(struct.unpack_from("<I", programs.written[-1], size)[0])


def test_a_run_is_as_long_as_the_last_ones_were_without_their_walks() -> None:
    programs = Programs()
    end = WindowSnapshot(0, 0, replace(NO_WINDOW, walk_ns=20_500), 130_000, 200)
    programs.control.learn_program_time(WINDOW, end)  # 1,000 ns each
    assert program_ns(programs) == 510
    programs.control.learn_program_time(WINDOW, replace(end, run_count=119))
    assert program_ns(programs) == 510
