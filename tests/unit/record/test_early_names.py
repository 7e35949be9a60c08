from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from profiler.measure.bounded_samples import BoundedSamples
from profiler.model.observed import UnwindStack
from profiler.record.early_names import STEP_NS, EarlyNames

STACKS = {7: (0x1000, 0x2001), 8: (0x1000, 0x3001, 0x2001), 9: (0x4000,)}


class Run:
    """Samples, the stacks behind them, and names that take `cost_ns` each to look up."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int = 100, cost_ns: int = 0) -> None:
        self.now_ns = 0
        self.cost_ns = cost_ns
        self.samples = BoundedSamples(most)
        self.read: list[int] = []
        self.named: list[int] = []
        sampler: Any = SimpleNamespace(samples=self.samples, stack=self.stack)
        names: Any = SimpleNamespace(look_up=self.look_up)
        self.early = EarlyNames(sampler, names)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.now_ns)

    def stack(self, key: int) -> UnwindStack | None:
        self.read.append(key)
        return UnwindStack(0, STACKS[key], ()) if key in STACKS else None

    def look_up(self, address: int) -> None:
        self.named.append(address)
        self.now_ns += self.cost_ns

    def sample(self, *keys: int) -> None:
        for key in keys:
            self.samples.add(0, key, 1)


def test_each_stack_is_read_and_each_address_named_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch)
    run.sample(7, 7, 8, 7)
    run.early.step()
    run.sample(8, 9)
    run.early.step()
    assert run.read == [7, 8, 9]
    assert sorted(run.named) == [0x1000, 0x2000, 0x3000, 0x4000]


def test_a_step_ends_when_its_time_is_over_and_the_next_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(monkeypatch, cost_ns=STEP_NS // 2)
    run.sample(7, 8, 9)
    counts = []
    for _ in range(3):
        run.early.step()
        counts.append(len(run.named))
    assert counts == [2, 4, 4]


def test_a_stack_that_the_kernel_did_not_keep_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Run(monkeypatch)
    run.sample(1, 9)
    run.early.step()
    assert run.named == [0x4000]


def test_it_goes_on_when_samples_were_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, most=8)
    run.sample(*[7] * 8)
    run.early.step()
    run.sample(7)
    run.early.step()
    assert len(run.samples.kept) < 7
    while 9 not in (key for _, key, _ in run.samples.kept):
        run.sample(9)
    run.early.step()
    assert 0x4000 in run.named
