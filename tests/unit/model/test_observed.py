from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from profiler.model.observed import MeasuredWindow, Observed, ThreadAccount
from profiler.model.recording import ProbeWindow, ThreadUse


def window(cost_ns: int) -> MeasuredWindow:
    return MeasuredWindow(
        ProbeWindow(0, 9, 3, cost_ns), (), False, 500, 1_500, 1_000, cost_ns, 3, 0
    )


def used(*cpu_ns: int) -> tuple[ThreadUse, ...]:
    return tuple(ThreadUse(tid, "asterisk", ns, None, False) for tid, ns in enumerate(cpu_ns, 1))


@pytest.mark.parametrize(("cost_ns", "dominates"), [(0, False), (200, False), (201, True)])
def test_our_cost_dominates_above_a_fifth_of_the_cpu_time(cost_ns: int, dominates: bool) -> None:
    assert window(cost_ns).is_overhead_dominated is dominates


@pytest.mark.parametrize(("whole", "unattributed"), [(1_000, 300), (700, 0), (699, 0)])
def test_unattributed_is_what_no_thread_used(whole: int, unattributed: int) -> None:
    assert ThreadAccount(used(400, 300), whole).unattributed_ns == unattributed
    assert ThreadAccount((), whole).unattributed_ns == whole


def test_the_cpu_time_of_a_run_is_that_of_its_threads() -> None:
    observed: Any = SimpleNamespace(account=ThreadAccount(used(1_500_000_000, 250_000_000), 0))
    assert Observed.cpu_s.fget(observed) == 1.75  # type: ignore[attr-defined]
