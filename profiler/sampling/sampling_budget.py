"""Charges what sampling takes from the target to the budget."""

from __future__ import annotations

import time
from collections.abc import Callable

from profiler.sampling.sample_cost import ASSUMED_INTERRUPT_NS
from profiler.sampling.sampler import CpuSampler
from profiler.windows.budget import Governor

_ASSUMED = (
    "the cost of samples is partly assumed: what a timer's interrupt takes could not be measured, "
    f"and {ASSUMED_INTERRUPT_NS / 1_000:.0f} us were charged for each"
)


class SampleBudget:
    """Charges samples, and what it took to note ends of threads: `ends_ns`.

    `interrupt_ns` is what the interrupt of one sample costs, None where that is not known.
    """

    def __init__(
        self,
        sampler: CpuSampler,
        governor: Governor,
        interrupt_ns: int | None,
        ends_ns: Callable[[], int],
    ) -> None:
        self._sampler = sampler
        self._governor = governor
        self._interrupt_ns = ASSUMED_INTERRUPT_NS if interrupt_ns is None else interrupt_ns
        self._ends_ns = ends_ns
        self._charged_ns = 0
        self.warning = None if interrupt_ns is not None else _ASSUMED

    @property
    def charged_ns(self) -> int:
        """What sampling has cost so far, as the governor knows it."""
        return self._charged_ns

    def charge(self) -> None:
        """Charge what was taken since the last time."""
        cost = self.cost_ns()
        self._governor.charge_sampling(cost - self._charged_ns, time.monotonic_ns())
        self._charged_ns = cost

    def cost_ns(self) -> int:
        """Return what it took: programs, interrupts, noted ends."""
        return self._sampler.cost_ns(self._interrupt_ns) + self._ends_ns()
