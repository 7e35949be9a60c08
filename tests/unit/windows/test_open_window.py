from __future__ import annotations

from dataclasses import replace

from profiler.model.observed import MeasuredWindow
from profiler.model.recording import ProbeWindow
from profiler.windows.budget import Grant
from profiler.windows.open_window import OpenWindow
from profiler.windows.snapshots import WindowSnapshot
from profiler.wire.lookups import NO_WINDOW


def test_what_a_window_saw_lies_between_its_ends() -> None:
    first = replace(NO_WINDOW, admitted=2, refused=3, trap_ns=1_000)
    last = replace(NO_WINDOW, admitted=12, refused=23, trap_ns=5_000)
    begin = WindowSnapshot(100, 50, first, 700, 0)
    end = WindowSnapshot(300, 170, last, 1_000, 0)
    window = OpenWindow(1, False, Grant(9, 9), begin)
    assert window.measured(end, (), 9_000.4) == MeasuredWindow(
        window=ProbeWindow(100, 300, 10, 9_000),
        groups=(),
        cpu_ns=120,
        cost_ns=4_300,
        admitted=10,
        refused=20,
    )
