from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from profiler.model.observed import (
    CountingWindow,
    GroupCount,
    MeasuredWindow,
    Observed,
    ThreadAccount,
)
from profiler.model.recording import ProbeWindow, ThreadUse
from profiler.wire.lookups import GroupKey


def window(cost_ns: int) -> MeasuredWindow:
    return MeasuredWindow(ProbeWindow(0, 9, 3, cost_ns), (), 1_000, cost_ns, 3, 0)


def counting(start_ns: int, end_ns: int, cost_ns: int, *counts: int) -> CountingWindow:
    """Return a window of a target that always runs, with lookups of groups 0, 1, ..."""
    length_ns = end_ns - start_ns
    return CountingWindow(
        start_ns=start_ns,
        end_ns=end_ns,
        open_ns=length_ns,
        cpu_begin_ns=start_ns,
        cpu_end_ns=end_ns,
        cpu_ns=length_ns,
        cost_ns=cost_ns,
        cost_before_ns=3,
        groups=tuple(GroupCount(key(line), count) for line, count in enumerate(counts) if count),
    )


def key(line: int) -> GroupKey:
    return GroupKey(1, 0, 3, 4, line, 0, 0)


def used(*cpu_ns: int) -> tuple[ThreadUse, ...]:
    return tuple(ThreadUse(tid, "asterisk", ns, None, False) for tid, ns in enumerate(cpu_ns, 1))


@pytest.mark.parametrize(("cost_ns", "dominates"), [(0, False), (200, False), (201, True)])
def test_our_cost_dominates_above_a_fifth_of_the_cpu_time(cost_ns: int, dominates: bool) -> None:
    assert window(cost_ns).is_overhead_dominated is dominates
    assert counting(0, 1_000, cost_ns).is_overhead_dominated is dominates


def test_merged_windows_have_the_sums_and_the_outer_ends() -> None:
    first, last = counting(10, 20, 1, 5, 6), counting(50, 80, 2, 0, 4)
    merged = first.merged_with(last)
    assert (merged.start_ns, merged.end_ns, merged.open_ns) == (10, 80, 40)
    assert (merged.cpu_begin_ns, merged.cpu_end_ns, merged.cpu_ns) == (10, 80, 40)
    assert (merged.cost_ns, merged.cost_before_ns, merged.lookups) == (3, 6, 15)
    assert merged.groups == (GroupCount(key(0), 5), GroupCount(key(1), 10))
    assert merged.open_ratio == pytest.approx(4 / 7)
    assert first.open_ratio == 1


@pytest.mark.parametrize(("whole", "unattributed"), [(1_000, 300), (700, 0), (699, 0)])
def test_unattributed_is_what_no_thread_used(whole: int, unattributed: int) -> None:
    assert ThreadAccount(used(400, 300), whole).unattributed_ns == unattributed
    assert ThreadAccount((), whole).unattributed_ns == whole


def test_the_cpu_time_of_a_run_is_that_of_its_threads() -> None:
    observed: Any = SimpleNamespace(account=ThreadAccount(used(1_500_000_000, 250_000_000), 0))
    assert Observed.cpu_s.fget(observed) == 1.75  # type: ignore[attr-defined]
