"""Counting windows for tests of estimates: the target has one thread that always runs."""

from __future__ import annotations

from profiler.model.observed import CountingWindow, GroupCount
from profiler.wire.lookups import GroupKey

MS = 1_000_000
KEY = GroupKey(0x1000, 0x2000, 0x3000, 0x4000, 5, 64, 0)
COUNTED = GroupKey(0x1000, 0x2000, 0x3000, 0x4000, 5, 64, 0)


def window(begin_ms: float, end_ms: float, lookups: int, cost_ms: float = 0.0) -> CountingWindow:
    """Return a window whose lookups are all of one group."""
    begin_ns, end_ns = round(begin_ms * MS), round(end_ms * MS)
    return CountingWindow(
        start_ns=begin_ns,
        end_ns=end_ns,
        open_ns=end_ns - begin_ns,
        cpu_begin_ns=begin_ns,
        cpu_end_ns=end_ns,
        cpu_ns=end_ns - begin_ns,
        cost_ns=round(cost_ms * MS),
        cost_before_ns=0,
        groups=(GroupCount(COUNTED, lookups),) if lookups else (),
    )
