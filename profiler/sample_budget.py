"""Keeps what sampling takes from the target within its share of the budget."""

from __future__ import annotations

import time
from collections.abc import Callable

from profiler.budget import Governor
from profiler.errors import KernelError
from profiler.sample_cost import SampleCost
from profiler.sampling import CpuSampler


class SampleBudget:
    """Samples threads while that is cheap, CPUs once the target's switches make it dear.

    `count_switches` tells how often the target's threads have left a CPU, `ends_ns` what it took to
    note those that ended.
    """

    def __init__(
        self,
        sampler: CpuSampler,
        governor: Governor,
        cost: SampleCost,
        count_switches: Callable[[], int],
        ends_ns: Callable[[], int],
    ) -> None:
        self._sampler = sampler
        self._governor = governor
        self._cost = cost
        self._count_switches = count_switches
        self._ends_ns = ends_ns
        self._switches = count_switches()
        self._read_at_ns = time.monotonic_ns()
        self._charged_ns = 0
        self._switching_ns = 0
        self._is_refused = False
        self.warning: str | None = None

    @property
    def charged_ns(self) -> int:
        """What sampling has cost so far, as the governor knows it."""
        return self._charged_ns

    def start(self) -> None:
        """Begin to sample, as the switches since the last look advise; raises as attach() does."""
        self._look()
        try:
            self._sampler.attach(by_cpu=self.warning is not None and not self._is_refused)
        except KernelError as error:
            if self.warning is None or self._is_refused:
                raise
            self._sampler.detach()
            self._refuse(error.message)
            self._sampler.attach(by_cpu=False)

    def charge(self) -> None:
        """Charge what samples took since the last time, and stop sampling threads if it is dear."""
        switching_ns = self._look()
        if not self._sampler.by_cpu:
            self._switching_ns += switching_ns
            self._change_if_dear()
        cost = self.cost_ns()
        self._governor.charge_sampling(cost - self._charged_ns, time.monotonic_ns())
        self._charged_ns = cost

    def _change_if_dear(self) -> None:
        """Sample CPUs once the warning says so; where the kernel refuses, threads as before."""
        if self.warning is None or self._is_refused:
            return
        try:
            self._sampler.change_to_cpus()
        except KernelError as error:
            self._refuse(error.message)

    def _refuse(self, reason: str) -> None:
        self._is_refused = True
        self.warning = f"switches of sampled threads cost more than planned: {reason}"

    def cost_ns(self) -> int:
        """Return what it took: programs, interrupts, switches of sampled threads, noted ends."""
        samples_ns = self._sampler.cost_ns(self._cost.interrupt_ns)
        return self._switching_ns + samples_ns + self._ends_ns()

    def _look(self) -> int:
        """Return what the switches since the last look cost, were every thread sampled."""
        last, last_ns = self._switches, self._read_at_ns
        self._switches, self._read_at_ns = self._count_switches(), time.monotonic_ns()
        # Threads that ended took their switches along.
        count, time_ns = max(self._switches - last, 0), max(self._read_at_ns - last_ns, 1)
        cost_ns = count * self._cost.switch_ns
        if self.warning is None and not self._governor.bears_sampling(cost_ns, time_ns):
            self.warning = (
                "samples are taken on each CPU, so how many a thread has is partly chance: events "
                f"on each thread would cost {100 * cost_ns / time_ns:.1f} % of one CPU at its "
                f"{count * 1e9 / time_ns:,.0f} switches a second"
            )
        return cost_ns
