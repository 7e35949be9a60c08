from __future__ import annotations

from typing import Any

import pytest

from profiler import sample_budget
from profiler.budget import Governor
from profiler.errors import KernelError
from profiler.sample_budget import SampleBudget
from profiler.sample_cost import SampleCost

SECOND_NS = 1_000_000_000
COST = SampleCost(interrupt_ns=2_000, switch_ns=1_000)


class Sampler:
    """Takes what it is told; its samples cost what the test says."""

    def __init__(self) -> None:
        self.by_cpu: bool | None = None
        self.changes = 0
        self.samples_ns = 0
        self.refuses_cpus = False

    def attach(self, by_cpu: bool) -> None:
        if by_cpu and self.refuses_cpus:
            raise KernelError("cannot sample CPU 0: no")
        self.by_cpu = by_cpu

    def detach(self) -> None:
        self.by_cpu = None

    def change_to_cpus(self) -> None:
        if self.refuses_cpus:
            raise KernelError("cannot sample CPU 0: no")
        self.changes += 1
        self.by_cpu = True

    def cost_ns(self, interrupt_ns: int) -> int:
        assert interrupt_ns == COST.interrupt_ns
        return self.samples_ns


class Run:
    """One budget of 1 % under a clock and a count that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ratio: float | None = 0.01) -> None:
        self.now_ns = self.switches = 0
        monkeypatch.setattr(sample_budget.time, "monotonic_ns", lambda: self.now_ns)
        self.sampler: Any = Sampler()
        self.governor = Governor(ratio, 0)
        self.ends_ns = 0
        self.budget = SampleBudget(
            self.sampler, self.governor, COST, lambda: self.switches, lambda: self.ends_ns
        )

    def pass_second(self, switches: int) -> None:
        self.now_ns += SECOND_NS
        self.switches += switches


def test_noted_ends_of_threads_are_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    run.budget.start()
    run.ends_ns = 70_000
    run.pass_second(switches=0)
    run.budget.charge()
    assert run.governor.spent_ns == run.budget.charged_ns == 70_000


def test_threads_are_sampled_while_they_switch_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    run.pass_second(3_000)  # x 1 us: 0.3 % of one CPU
    run.budget.start()
    assert run.sampler.by_cpu is False
    run.sampler.samples_ns = 400_000
    run.pass_second(2_000)
    run.budget.charge()
    assert run.budget.cost_ns() == run.budget.charged_ns == run.governor.spent_ns == 2_400_000
    assert run.sampler.by_cpu is False
    assert run.budget.warning is None


def test_a_target_that_switches_often_is_sampled_by_cpu_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(monkeypatch)
    run.pass_second(3_001)
    run.budget.start()
    assert run.sampler.by_cpu is True
    run.pass_second(100_000)
    run.budget.charge()
    assert run.budget.cost_ns() == 0
    assert run.sampler.changes == 0
    assert run.budget.warning is not None
    assert "0.3 % of one CPU at its 3,001 switches a second" in run.budget.warning


def test_one_that_begins_to_is_changed_and_pays_for_what_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(monkeypatch)
    run.pass_second(0)
    run.budget.start()
    run.pass_second(50_000)
    run.budget.charge()
    assert (run.sampler.by_cpu, run.sampler.changes) == (True, 1)
    assert run.budget.cost_ns() == 50_000_000
    for _ in range(2):
        run.pass_second(50_000)
        run.budget.charge()
    assert run.sampler.changes == 1
    assert run.governor.spent_ns == 50_000_000


def test_ended_threads_that_took_their_switches_along(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    run.budget.start()
    run.pass_second(-500)
    run.budget.charge()
    assert run.budget.cost_ns() == 0


def test_without_a_budget_threads_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, None)
    run.pass_second(1_000_000)
    run.budget.start()
    assert run.sampler.by_cpu is False


@pytest.mark.parametrize("switches_before", [0, 50_000])
def test_where_cpus_cannot_be_sampled_threads_are_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, switches_before: int
) -> None:
    run = Run(monkeypatch)
    run.sampler.refuses_cpus = True
    run.pass_second(switches_before)
    run.budget.start()
    for _ in range(2):
        run.pass_second(50_000)
        run.budget.charge()
    assert run.sampler.by_cpu is False
    assert run.budget.warning is not None
    assert run.budget.warning.endswith("more than planned: cannot sample CPU 0: no")
    assert run.budget.cost_ns() == 100_000_000
