"""A simulated target under the real budget: how well totals are estimated, thousands of times.

Time, the target and the kernel are simulated; the governor, the windows that count and the
estimate are the real ones. Lookups of one call site come in bursts or all the time, as fast as
threads can make them or paced. Costs are those of a virtual machine (docs/overhead.md).
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any
from unittest import mock

from profiler.counting import entry_counter
from profiler.counting.entry_counter import EntryCounter
from profiler.estimate.totals import Span, Total, estimate_totals
from profiler.model.observed import GroupCount
from profiler.record.collection.counted_groups import NOTHING_MEASURED
from profiler.windows.budget import Governor, Grant
from profiler.wire.lookups import CountingControl, CountingState, GroupKey

TRAP_NS = 700
PROGRAM_NS = 500
MEASURED_NS = 12_000  # all traps and programs of a lookup that is measured, but for its walk
NODE_NS = 14  # one element: a comparison, or one step of our walk
LOOKUP_NS = 300  # a lookup but for its comparisons
PLACING_NS = (2_000_000, 30_000_000)  # how long probes take to come and go
CPUS = 2
PERIOD_NS = 1e9 / 99
PREPARED_NS = 400_000_000  # when lookups can be counted
KEY = GroupKey(0x1000, 0x2000, 0x3000, 0x4000, 1, 0, 0)
_SECOND = 1_000_000_000
_LONGEST_STEP_NS = 250_000_000


@dataclass(frozen=True, slots=True)
class Phase:
    """Lookups from `start_s` to `end_s`; `rate_hz` None: as fast as the threads can."""

    start_s: float
    end_s: float
    rate_hz: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What the target does in one recording."""

    duration_s: float
    phases: tuple[Phase, ...]
    chain: int = 100  # comparisons of a lookup
    threads: int = 1
    background_ratio: float = 0.05  # of a CPU, used by other work

    @property
    def lookup_ns(self) -> float:
        """CPU time of one lookup."""
        return LOOKUP_NS + NODE_NS * self.chain


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was estimated, and what it was."""

    truth: int
    total: Total
    cost_ratio: float


class SimulatedTarget:
    """The target, the kernel and the clock."""

    def __init__(self, load: Load, chance: random.Random) -> None:
        self._load = load
        self._chance = chance
        self.now_ns = 0
        self.cpu_ns = 0.0
        self.truth = 0.0
        self.samples_ns: list[int] = []
        self.is_counting = False  # probes are placed
        self.is_measuring = False
        self.control = CountingControl(False, 0, 0)
        self.counted = 0.0
        self._noted = 0
        self.trap_ns = self.run_ns = self.spent_ns = 0.0
        self.measured_ns = 0.0

    def run_until(self, end_ns: int) -> None:
        """Let time pass."""
        while self.now_ns < end_ns:
            self._step(min(end_ns, self.next_change(), self.now_ns + _LONGEST_STEP_NS))

    def next_change(self) -> int:
        """Return when lookups begin or end next."""
        edges = (s for phase in self._load.phases for s in (phase.start_s, phase.end_s))
        later = [round(s * _SECOND) for s in edges if round(s * _SECOND) > self.now_ns]
        return min(later, default=1 << 62)

    def rate_hz(self) -> float:
        """Return how many lookups there are in a second now."""
        now_s = self.now_ns / _SECOND
        rate = 0.0
        for phase in self._load.phases:
            if phase.start_s <= now_s < phase.end_s:
                most = min(self._load.threads, CPUS) * _SECOND / self._each_ns()
                rate += most if phase.rate_hz is None else min(phase.rate_hz, most)
        return rate

    def _each_ns(self) -> float:
        return self._load.lookup_ns + self._counted_ns() + self._measuring_ns()

    def _counted_ns(self) -> float:
        return TRAP_NS + PROGRAM_NS if self.is_counting else 0.0

    def _measuring_ns(self) -> float:
        return MEASURED_NS + NODE_NS * self._load.chain if self.is_measuring else 0.0

    def _step(self, end_ns: int) -> None:
        length_ns = end_ns - self.now_ns
        mean = self.rate_hz() * length_ns / _SECOND
        lookups = _poisson(self._chance, mean)
        busy_ns = lookups * self._each_ns()
        self.cpu_ns += busy_ns + self._load.background_ratio * length_ns
        self.truth += lookups
        for _ in range(_poisson(self._chance, busy_ns / PERIOD_NS)):
            self.samples_ns.append(self.now_ns + self._chance.randrange(length_ns))
        if self.is_counting:
            self.trap_ns += lookups * TRAP_NS
            self.run_ns += lookups * PROGRAM_NS
            self.spent_ns += lookups * (TRAP_NS + PROGRAM_NS)
            if self.control.is_open:
                self.counted += lookups
        self.measured_ns += lookups * self._measuring_ns()
        self.now_ns = end_ns

    def time_until_spent(self, left_ns: float, each_ns: float) -> int:
        """Return when so much is spent at the rate of now."""
        rate = self.rate_hz()
        if rate <= 0 or each_ns <= 0:
            return 1 << 62
        return self.now_ns + round(max(left_ns, 0) / each_ns / rate * _SECOND) + 1

    # -- what the counter sees of the kernel --------------------------------------------------

    def count(self, _points: object, _pid: int) -> None:
        """Place the probes that count."""
        self.is_counting = True
        self.run_until(self.now_ns + self._placing())

    def stop_counting(self) -> None:
        """Take them away."""
        self.run_until(self.now_ns + self._placing() // 4)
        self.is_counting = False

    def _placing(self) -> int:
        return self._chance.randrange(*PLACING_NS)

    def get(self, _key: bytes) -> bytes:
        """Return the state that the program keeps."""
        used_up = self.control.allowance_ns if self.spent_ns > self.control.allowance_ns else 0
        return CountingState(round(self.spent_ns), round(self.trap_ns), used_up, 0).encode()

    def set(self, _key: bytes, value: bytes) -> None:
        """Set what the program does."""
        self.control = CountingControl(*struct.unpack("<3Q", value))

    def entry_counts(self) -> tuple[GroupCount, ...]:
        """Return how many were counted since the last call."""
        new = round(self.counted) - self._noted
        self._noted += new
        return (GroupCount(KEY, new),) if new else ()


def _poisson(chance: random.Random, mean: float) -> int:
    if mean <= 0:
        return 0
    if mean > 100:
        return max(round(chance.gauss(mean, mean**0.5)), 0)
    left, found = chance.expovariate(1.0), 0
    while left < mean:
        found += 1
        left += chance.expovariate(1.0)
    return found


class Measuring:
    """The windows that measure, as far as the budget and the target feel them."""

    def __init__(self, target: SimulatedTarget, governor: Governor, counter: EntryCounter) -> None:
        self._target, self._governor, self._counter = target, governor, counter
        self._grant: Grant | None = None
        self._charged = 0.0

    def step(self) -> int:
        """Open, go on or close; return when to call again."""
        target, now = self._target, self._target.now_ns
        if self._grant is None:
            grant = self._governor.grant(now, is_open=False)
            if grant is None:
                return now + max(self._governor.wait_ns(now), 1_000_000)
            self._counter.mark()
            target.is_measuring = True
        else:
            spent = target.measured_ns - self._charged
            self._governor.charge(spent)
            self._charged = target.measured_ns
            grant = None
            if spent < self._grant.allowance_ns:
                grant = self._governor.grant(now, is_open=True)
            if grant is None:
                target.run_until(now + 2_000_000)
                target.is_measuring = False
                late = target.measured_ns - self._charged + 150_000
                self._governor.charge_window(late, 0, closed=True)
                self._charged = target.measured_ns
                self._counter.mark()
        self._grant = grant
        return self._next() if grant else now

    def _next(self) -> int:
        assert self._grant is not None
        left = self._grant.allowance_ns - (self._target.measured_ns - self._charged)
        spent = self._target.time_until_spent(left, MEASURED_NS)
        return min(self._grant.until_ns, spent)


def record(load: Load, budget_ratio: float | None, seed: int) -> Outcome:
    """Record a load, and return what came out."""
    chance = random.Random(seed)
    target = SimulatedTarget(load, chance)
    governor = Governor(budget_ratio, 0, chance.random)
    programs: Any = SimpleNamespace(
        module=SimpleNamespace(map=lambda _name: target),
        counting_program=SimpleNamespace(
            statistics=lambda: SimpleNamespace(run_time_ns=target.run_ns)
        ),
        count=target.count,
        stop_counting=target.stop_counting,
    )
    clock = SimpleNamespace(
        read_ns=lambda: round(target.cpu_ns), read_exactly_ns=lambda: round(target.cpu_ns)
    )
    process: Any = SimpleNamespace(pid=1, clock=clock)
    priority: Any = mock.MagicMock()
    target.run_until(PREPARED_NS)
    timer = SimpleNamespace(monotonic_ns=lambda: target.now_ns)
    with mock.patch.object(entry_counter, "time", timer):
        counter = EntryCounter(programs, (), process, target, governor, priority)  # type: ignore[arg-type]
        _run(load, target, counter, Measuring(target, governor, counter))
    span = Span(0, round(target.cpu_ns), PERIOD_NS)
    times = sorted(target.samples_ns)
    totals = estimate_totals(counter.windows.all(), {KEY: NOTHING_MEASURED}, lambda _: times, span)
    cost = target.trap_ns + target.run_ns + target.measured_ns
    return Outcome(round(target.truth), totals[KEY], cost / (load.duration_s * _SECOND))


def _run(load: Load, target: SimulatedTarget, counter: EntryCounter, measuring: Measuring) -> None:
    end_ns = round(load.duration_s * _SECOND)
    while target.now_ns < end_ns:
        next_ns = min(counter.step(target.now_ns, may_open=True), measuring.step(), end_ns)
        next_ns = min(next_ns, target.next_change())
        if counter.is_open:
            left = target.control.allowance_ns - target.spent_ns
            next_ns = min(next_ns, target.time_until_spent(left, TRAP_NS + PROGRAM_NS))
        target.run_until(max(next_ns, target.now_ns + 50_000))
    counter.close()


def loads(duration_s: float, chance: random.Random) -> Iterator[tuple[str, Sequence[Phase]]]:
    """Yield what lookups may look like over time, with moments by chance."""
    whole = (0.0, duration_s)
    for rate in (50.0, 1_000.0, 20_000.0):
        yield f"{rate:,.0f}/s", (Phase(*whole, rate),)
    yield "as fast as can be", (Phase(*whole),)
    for length in (0.1, 1.0, 5.0):
        at = chance.uniform(0, duration_s - length)
        yield f"one burst of {length:g} s", (Phase(at, at + length),)
        parts = [chance.uniform(0, duration_s / 4 - length) for _ in range(4)]
        bursts = [(i * duration_s / 4 + max(at, 0.0)) for i, at in enumerate(parts)]
        yield f"four bursts of {length:g} s", tuple(Phase(at, at + length) for at in bursts)
    yield "1 s at the start", (Phase(0.0, 1.0),)
    yield "1 s at the end", (Phase(duration_s - 1, duration_s),)
    steps = [(i * duration_s / 10, (i + 1) * duration_s / 10) for i in range(10)]
    yield "ramp to 5,000/s", tuple(Phase(a, b, 500.0 * (i + 1)) for i, (a, b) in enumerate(steps))
