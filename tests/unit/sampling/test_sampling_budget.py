from __future__ import annotations

import time
from typing import Any

import pytest

from profiler.sampling.sampling_budget import SampleBudget
from profiler.windows.budget import Governor

SECOND_NS = 1_000_000_000
PROGRAMS_NS = 30_000
SAMPLES = 100


class Sampler:
    """Has taken so many samples."""

    def cost_ns(self, interrupt_ns: int) -> int:
        return PROGRAMS_NS + SAMPLES * interrupt_ns


def budget(governor: Governor, interrupt_ns: int | None, ends_ns: list[int]) -> SampleBudget:
    sampler: Any = Sampler()
    return SampleBudget(sampler, governor, interrupt_ns, lambda: ends_ns[-1])


def test_each_cost_is_charged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "monotonic_ns", lambda: SECOND_NS)
    governor, ends_ns = Governor(0.01, 0), [0]
    found = budget(governor, 2_000, ends_ns)
    found.charge()
    ends_ns.append(70_000)
    for _ in range(2):
        found.charge()
    assert found.cost_ns() == found.charged_ns == governor.spent_ns == 300_000
    assert found.warning is None


def test_what_could_not_be_measured_is_assumed_and_said() -> None:
    found = budget(Governor(0.01, 0), None, [0])
    assert found.cost_ns() == 1_230_000
    assert found.warning is not None
    assert "could not be measured, and 12 us were charged for each" in found.warning
