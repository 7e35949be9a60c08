"""What the default budget costs a target that does nothing but look up, and what it buys.

With and without the profiler in alternation, in one run: the throughput of the searching threads
for each second of CPU time that they had (which is not disturbed by what else runs on the machine)
and for each second of the clock (which is). As many rounds are compared in which there was no
profiler either: how far those ratios are from one is the jitter of the machine itself. Then one
recording, compared with the target's own count.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from bench.pairs import Pairs
from bench.session import Session, recorded
from bench.storm import Reading, Storm
from bench.tables import Table, estimate_cell, promise
from lab import instance
from lab.instance import Instance
from profiler.model.recording import Recording
from profiler.record.preparation.sampling import Options

ASTERISK = instance.Options("16")
CHAINS = (10, 100, 1_000, 8_000, 50_000)
THREADS = (1, 8)
BUDGET_RATIO = 0.01
ROUNDS = 20
ROUND_SECONDS = 1.5
RECORD_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Rounds:
    """Throughput with the profiler, and once more without, over that without; and the charge."""

    by_cpu: Pairs
    by_clock: Pairs
    without_by_cpu: Pairs
    charged_ratio: float


def rounds(storm: Storm, session: Session, count: int, seconds: float) -> Rounds:
    """Switch the profiler on and off; each round is compared with those before and after it."""
    found = Rounds(Pairs(), Pairs(), Pairs(), 0.0)
    on_ns = 0
    before = _off(storm, seconds)
    for _ in range(count):
        start = storm.read()
        session.on(seconds)
        on = storm.read() - start
        after = _off(storm, seconds)
        found.by_cpu.add_costs(
            on.cpu_ns_per_lookup, before.cpu_ns_per_lookup, after.cpu_ns_per_lookup
        )
        found.by_clock.add(on.per_second, (before.per_second + after.per_second) / 2)
        on_ns += on.time_ns
        again, before = _off(storm, seconds), _off(storm, seconds)
        found.without_by_cpu.add_costs(
            again.cpu_ns_per_lookup, after.cpu_ns_per_lookup, before.cpu_ns_per_lookup
        )
    return replace(found, charged_ratio=session.run.governor.spent_ns / on_ns)


def _off(storm: Storm, seconds: float) -> Reading:
    start = storm.read()
    time.sleep(seconds)
    return storm.read() - start


def recorded_storm(storm: Storm, pid: int, seconds: float) -> tuple[Recording, Reading]:
    """Return a recording of the storm, and what the target itself counted meanwhile."""
    ends: list[Reading] = []

    def read() -> None:
        ends.append(storm.read())

    options = Options(round(seconds * 1e9), budget_ratio=BUDGET_RATIO)
    return recorded(pid, options, read, read), ends[1] - ends[0]


def run(asterisk: Instance) -> Table:
    """Return the table over all chains and numbers of threads."""
    rows, by_cpu = [], []
    fewest, furthest, highest = 1 << 62, 0.0, 0.0
    for threads in THREADS:
        for chain in CHAINS:
            with Storm(asterisk, chain, threads) as storm:
                options = Options(1, budget_ratio=BUDGET_RATIO)
                with Session(asterisk.pid, options) as session:
                    found = rounds(storm, session, ROUNDS, ROUND_SECONDS)
                recording, truth = recorded_storm(storm, asterisk.pid, RECORD_SECONDS)
            groups = [
                group
                for group in recording.lookups
                if recording.containers[group.container].address == storm.address
            ]
            exact = round(sum(group.verified for group in groups) * 60 / RECORD_SECONDS)
            estimated = sum(group.estimated_total for group in groups)
            is_limit = any(group.estimated_variance is None for group in groups)
            variance = sum(group.estimated_variance or 0.0 for group in groups)
            off = estimated / truth.lookups
            by_cpu.append(found.by_cpu)
            fewest = min(fewest, exact)
            if is_limit:
                highest = max(highest, off)
            else:
                furthest = max(furthest, abs(off - 1))
            rows.append(
                (
                    f"{chain:,}",
                    str(threads),
                    str(found.by_cpu.ratio()),
                    str(found.without_by_cpu.ratio()),
                    str(found.by_clock.ratio()),
                    f"{100 * found.charged_ratio:.2f} %",
                    f"{exact:,}",
                    estimate_cell(estimated, None if is_limit else variance, truth.lookups),
                )
            )
            print("budget", *rows[-1], flush=True)
    headings = (
        "chain",
        "threads",
        "with / without",
        "without / without",
        "with / without, by the clock",
        "charged",
        "exact counts in 60 s",
        "estimated / true lookups",
    )
    every = sum(by_cpu, Pairs()).ratio()
    least = min((pairs.ratio() for pairs in by_cpu), key=lambda ratio: ratio.high)
    return Table(
        "budget",
        headings,
        tuple(rows),
        (
            promise(f"throughput at least 99 %: all rounds together {every}", every.median >= 0.99),
            promise(f"in each row, as far as it is known: least {least}", least.high >= 0.99),
            promise(f"at least 1,000 exact counts in 60 s (least {fewest:,})", fewest >= 1000),
            promise(f"estimated totals within 5 % (furthest {furthest:.1%})", furthest <= 0.05),
            promise(f"lower bounds below the true number (highest {highest:.3f})", highest <= 1),
        ),
    )
